using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Gateway;

/// <summary>Says in the log who was refused by TLS, which Kestrel itself keeps quiet about; one line in a while, so that strangers can't fill the log.</summary>
internal sealed partial class RefusedConnections(ILogger log)
{
    private static readonly object _isAdmitted = new();
    private static readonly TimeSpan LogInterval = TimeSpan.FromSeconds(5);
    private readonly Lock _gate = new();
    private long _nextLog;
    private int _untold;

    /// <summary>What comes before TLS.</summary>
    public ConnectionDelegate Outside(ConnectionDelegate next) => async connection =>
    {
        try
        {
            await next(connection).ConfigureAwait(false);
        }
        finally
        {
            if (!connection.Items.ContainsKey(_isAdmitted))
                Tell(connection.RemoteEndPoint?.ToString() ?? "someone");
        }
    };

    /// <summary>What comes after it.</summary>
    public static ConnectionDelegate Inside(ConnectionDelegate next) => connection =>
    {
        connection.Items[_isAdmitted] = true;
        return next(connection);
    };

    private void Tell(string from)
    {
        int untold;
        lock (_gate)
        {
            if (Environment.TickCount64 < _nextLog)
            {
                _untold++;
                return;
            }
            _nextLog = Environment.TickCount64 + (long)LogInterval.TotalMilliseconds;
            (untold, _untold) = (_untold, 0);
        }
        Refused(log, from, untold);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "HTTP: a connection from {From} was closed, and {Untold} before it that were not told: it showed no certificate of the cluster that is in date")]
    private static partial void Refused(ILogger log, string from, int untold);
}
