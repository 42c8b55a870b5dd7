using Akka.Configuration;

namespace ClusterNet.Cluster.Hosting;

/// <summary>What a node keeps journals and snapshots in.</summary>
internal interface INodeStore : IDisposable
{
    /// <summary>Journal and snapshot store, as Akka.Persistence is told.</summary>
    Config Configuration { get; }

    /// <summary>Which store it is: nodes that share one have the same. Lower-case letters and digits.</summary>
    string Id { get; }

    /// <summary>For people, without secrets.</summary>
    string Description { get; }
}

/// <summary>No store: a node that has neither jobs nor weights to keep. What asks for a journal all the same fails and says why.</summary>
internal sealed class NoStore : INodeStore
{
    public Config Configuration => Config.Empty;

    public string Id => "";

    public string Description => "none";

    public void Dispose()
    {
    }
}
