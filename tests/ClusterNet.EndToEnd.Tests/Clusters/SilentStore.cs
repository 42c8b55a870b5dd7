using Npgsql;

namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>The PostgreSQL of the tests behind a door that can be held shut: who knocks waits.</summary>
internal sealed class SilentStore : ClusterPlace, IAsyncDisposable
{
    // how long nodes wait for an answer
    private const int Seconds = 4;

    private TcpForwarder? _door;

    public override string StoreOf(string connectionString)
    {
        var server = new NpgsqlConnectionStringBuilder(connectionString) { Timeout = Seconds, CommandTimeout = Seconds };
        _door ??= new TcpForwarder("127.0.0.1", server.Host!, server.Port);
        (server.Host, server.Port) = ("127.0.0.1", _door.Port);
        return server.ConnectionString;
    }

    /// <summary>Nothing passes any more, neither questions nor answers.</summary>
    public void Freeze() => _door!.Freeze();

    /// <summary>All passes again.</summary>
    public void Thaw() => _door!.Thaw();

    public async ValueTask DisposeAsync()
    {
        if (_door is not null)
            await _door.DisposeAsync();
    }
}
