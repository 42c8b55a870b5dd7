namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>Tests with a cluster of processes run one after the other: a machine of two cores has enough to do with one.</summary>
[CollectionDefinition(Name)]
public sealed class ProcessClusters
{
    public const string Name = "clusters of processes";
}
