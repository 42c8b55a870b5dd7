namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>A PostgreSQL server of a test's own, so that it can be stopped.</summary>
internal sealed class PostgresServer : ClusterPlace, IAsyncDisposable
{
    private static readonly string _script = Path.Combine(Repository.Root, ".ci", "postgres");
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusternet-e2e-");
    private string? _server;

    private PostgresServer()
    {
    }

    public override string? Server => _server;

    private string Folder => Path.Combine(_folder.FullName, "postgres");

    /// <summary>Starts it, or skips the test where the machine has no PostgreSQL.</summary>
    public static async Task<PostgresServer> StartAsync()
    {
        Skip.IfNot(OperatingSystem.IsLinux() && Directory.Exists("/usr/lib/postgresql"), "no PostgreSQL server is installed here");
        var server = new PostgresServer();
        // the server's user has to pass
        await Tool.RunAsync("chmod", "755", server._folder.FullName);
        server._server = (await Tool.RunAsync(_script, "start", server.Folder)).Trim();
        return server;
    }

    /// <summary>Ends it as a loss of power would.</summary>
    public Task CrashAsync() => Tool.RunAsync(_script, "crash", Folder);

    /// <summary>Starts it on what it had.</summary>
    public Task StartAgainAsync() => Tool.RunAsync(_script, "again", Folder);

    public async ValueTask DisposeAsync()
    {
        await Tool.TryAsync(_script, "stop", Folder);
        _folder.Delete(true);
    }
}
