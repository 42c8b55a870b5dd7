namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>A PostgreSQL server of a test's own, so that it can be stopped.</summary>
internal sealed class PostgresServer : ClusterPlace, IAsyncDisposable
{
    private static readonly string _script = Path.Combine(Repository.Root, ".ci", "postgres");
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusternet-e2e-");
    private string? _server;
    private SmallDisk? _disk;

    private PostgresServer()
    {
    }

    public override string? Server => _server;

    private string Folder => Path.Combine(_folder.FullName, "postgres");

    /// <summary>Its file system, where it has one of its own.</summary>
    public SmallDisk Disk => _disk ?? throw new InvalidOperationException("it has the machine's file system");

    /// <summary>Starts it, or skips the test where the machine has no PostgreSQL.</summary>
    /// <param name="megabytes">of a file system of its own; null for the machine's</param>
    public static async Task<PostgresServer> StartAsync(int? megabytes = null)
    {
        Skip.IfNot(OperatingSystem.IsLinux() && Directory.Exists("/usr/lib/postgresql"), "no PostgreSQL server is installed here");
        var server = new PostgresServer();
        // the server's user has to pass
        await Tool.RunAsync("chmod", "755", server._folder.FullName);
        if (megabytes is { } size)
            server._disk = await SmallDisk.MountAsync(server.Folder, size);
        server._server = (await Tool.RunAsync(_script, "start", server.Folder)).Trim();
        return server;
    }

    /// <summary>Ends it as a loss of power would.</summary>
    public Task CrashAsync() => Tool.RunAsync(_script, "crash", Folder);

    /// <summary>Starts it on what it had.</summary>
    public Task StartAgainAsync() => Tool.RunAsync(_script, "again", Folder);

    /// <summary>Starts it if it has ended; a server does when its disk is full.</summary>
    public Task StartAgainIfEndedAsync() => Tool.TryAsync(_script, "again", Folder);

    public async ValueTask DisposeAsync()
    {
        await Tool.TryAsync(_script, "stop", Folder);
        _disk?.Dispose();
        _folder.Delete(true);
    }
}
