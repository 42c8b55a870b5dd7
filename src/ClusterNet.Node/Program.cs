using ClusterNet.Node;
using ClusterNet.Node.Hosting;

return await ClusterNetProgram.RunAsync(args, LocalNode.StartAsync);
