using ClusterNet.Cluster;
using ClusterNet.Node;

return await ClusterNetProgram.RunAsync(args, (_, _) => throw new ClusterException("this build has no cluster"));
