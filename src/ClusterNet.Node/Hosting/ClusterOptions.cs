namespace ClusterNet.Node.Hosting;

/// <summary>What a cluster is started with.</summary>
/// <param name="DataDirectory">full path of the folder that holds the store and the logs; made where it is not there</param>
/// <param name="Services">what the program registered; its models among them</param>
public sealed record ClusterOptions(string DataDirectory, IServiceProvider Services);
