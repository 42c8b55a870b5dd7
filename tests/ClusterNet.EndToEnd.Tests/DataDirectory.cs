using Microsoft.Data.Sqlite;

namespace ClusterNet.EndToEnd.Tests;

/// <summary>A data directory of a test's own; the processes that run on it, and the directory, are gone with it.</summary>
internal sealed class DataDirectory : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusternet-e2e-");
    private readonly List<Running> _processes = [];
    private SmallDisk? _disk;

    /// <summary>Where the store is.</summary>
    public string Path => System.IO.Path.Combine(_folder.FullName, "data");

    /// <summary>What the program wrote to its log.</summary>
    public string Log => LogIn(Path);

    /// <summary>What a program wrote to its log whose store is in this folder.</summary>
    public static string LogIn(string path)
    {
        var logs = System.IO.Path.Combine(path, "logs");
        return Directory.Exists(logs) ? string.Join('\n', Directory.GetFiles(logs).Select(ReadShared)) : "no log";
    }

    /// <summary>The path of a file beside the store.</summary>
    public string File(string name) => System.IO.Path.Combine(_folder.FullName, name);

    /// <summary>Puts it on a disk of its own that can be filled; skips the test where that can't be done. Before anything is started here.</summary>
    public async Task<SmallDisk> MountAsync(int megabytes) => _disk = await SmallDisk.MountAsync(Path, megabytes);

    /// <summary>Starts the program on this directory.</summary>
    public Running Start(params string[] args) => Start([], args);

    private Running Start((string Name, string Value)[] environment, string[] args)
    {
        var process = new Running(this, [.. args, "--data-dir", Path], environment);
        _processes.Add(process);
        return process;
    }

    /// <summary>Runs the program on this directory to its end.</summary>
    public async Task<Outcome> RunAsync(params string[] args) => await Start(args).EndAsync();

    /// <summary>The same with variables that this process does not have.</summary>
    public async Task<Outcome> RunAsync((string Name, string Value)[] environment, string[] args) => await Start(environment, args).EndAsync();

    /// <summary>The latest step of which a shard has saved a checkpoint; 0 as long as there is no store or none in it.</summary>
    public long LatestCheckpoint()
    {
        var database = System.IO.Path.Combine(Path, "clusternet.db");
        if (!System.IO.File.Exists(database))
            return 0;
        try
        {
            using var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = database, Mode = SqliteOpenMode.ReadOnly, Pooling = false }.ToString());
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "SELECT COALESCE(MAX(sequence_number), 0) FROM snapshot WHERE persistence_id LIKE 'shard-%'";
            return (long)command.ExecuteScalar()!;
        }
        catch (SqliteException)
        {
            // the tables are being made
            return 0;
        }
    }

    public void Dispose()
    {
        foreach (var process in _processes)
            process.Dispose();
        _disk?.Dispose();
        _folder.Delete(true);
    }

    private static string ReadShared(string path)
    {
        using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        return reader.ReadToEnd();
    }
}
