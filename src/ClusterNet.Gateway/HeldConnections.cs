using System.Net;
using Microsoft.AspNetCore.Connections;

namespace ClusterNet.Gateway;

/// <summary>
/// Takes no connection more from the kernel while too many are open. Kestrel's own limit refuses what is beyond it, but only after each has been accepted, on threads that may be busy: until then each is an open file, and a process
/// that has none left does not live long, see <see cref="Cluster.Hosting.OpenFileLimit"/>.
/// </summary>
/// <param name="inner">accepts</param>
/// <param name="most">open at a time, of each port; more than Kestrel's limit, or nobody would be told that there are too many</param>
internal sealed class HeldConnections(IConnectionListenerFactory inner, int most) : IConnectionListenerFactory
{
    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
        new Listener(await inner.BindAsync(endpoint, cancellationToken).ConfigureAwait(false), most);

    private sealed class Listener(IConnectionListener inner, int most) : IConnectionListener
    {
        private readonly SemaphoreSlim _free = new(most);
        private readonly CancellationTokenSource _unbound = new();

        public EndPoint EndPoint => inner.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _unbound.Token);
            try
            {
                await _free.WaitAsync(either.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (_unbound.IsCancellationRequested)
            {
                return null;
            }
            ConnectionContext? connection = null;
            try
            {
                connection = await inner.AcceptAsync(cancellationToken).ConfigureAwait(false);
                return connection;
            }
            finally
            {
                if (connection is null)
                    _free.Release();
                else
                    connection.ConnectionClosed.UnsafeRegister(static free => ((SemaphoreSlim)free!).Release(), _free);
            }
        }

        public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            await _unbound.CancelAsync().ConfigureAwait(false);
            await inner.UnbindAsync(cancellationToken).ConfigureAwait(false);
        }

        // connections that are still open give back their places later
        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
