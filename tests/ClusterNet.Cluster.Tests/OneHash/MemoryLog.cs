using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Cluster.Tests.OneHash;

/// <summary>The last lines that a cluster logged, for tests that fail.</summary>
internal sealed class MemoryLog : ILoggerProvider, ILogger
{
    private const int Capacity = 200;
    private readonly ConcurrentQueue<string> _lines = new();

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        _lines.Enqueue($"{DateTime.UtcNow:HH:mm:ss.fff} {logLevel} {formatter(state, exception)} {exception}");
        while (_lines.Count > Capacity)
            _lines.TryDequeue(out _);
    }

    public void Dispose() => _lines.Clear();

    public override string ToString() => string.Join('\n', _lines);
}
