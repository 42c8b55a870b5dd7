using System.Collections.Concurrent;
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
    private readonly ConcurrentBag<Listener> _listeners = [];
    private readonly TaskCompletionSource _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // and one for being bound
    private int _open = 1;

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        var listener = new Listener(this, await inner.BindAsync(endpoint, cancellationToken).ConfigureAwait(false), most);
        _listeners.Add(listener);
        return listener;
    }

    /// <summary>Takes nobody more, for good. Once.</summary>
    /// <returns>done, and holding a task that is done when no connection is open any more</returns>
    public async Task<Task> UnbindAsync(CancellationToken cancel)
    {
        foreach (var listener in _listeners)
            await listener.UnbindAsync(cancel).ConfigureAwait(false);
        Close();
        return _closed.Task;
    }

    private void Close()
    {
        if (Interlocked.Decrement(ref _open) == 0)
            _closed.TrySetResult();
    }

    private sealed class Listener(HeldConnections all, IConnectionListener inner, int most) : IConnectionListener
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
                {
                    _free.Release();
                }
                else
                {
                    Interlocked.Increment(ref all._open);
                    connection.ConnectionClosed.UnsafeRegister(static listener => ((Listener)listener!).Free(), this);
                }
            }
        }

        private void Free()
        {
            _free.Release();
            all.Close();
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
