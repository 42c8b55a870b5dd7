namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>Where the processes of a cluster run, each on an address of its own where that matters, and by which server they reach their store.</summary>
internal class ClusterPlace
{
    /// <summary>Loopback, and the PostgreSQL of the tests.</summary>
    public static ClusterPlace Loopback { get; } = new();

    /// <summary>The server that the store is on; null for that of the tests.</summary>
    public virtual string? Server => null;

    /// <summary>The address of a node.</summary>
    /// <param name="node">counted from 0</param>
    public virtual string HostOf(int node) => "127.0.0.1";

    /// <summary>What starts a node: see <see cref="NodeProcess"/>.</summary>
    /// <param name="node">counted from 0</param>
    public virtual IReadOnlyList<string> LauncherOf(int node) => [];

    /// <summary>How nodes open the store that the tests open so.</summary>
    public virtual string StoreOf(string connectionString) => connectionString;
}
