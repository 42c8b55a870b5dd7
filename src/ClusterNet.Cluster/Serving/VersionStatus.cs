using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Serving;

/// <summary>A version on one node.</summary>
/// <param name="Version">which</param>
/// <param name="State">whether it answers</param>
/// <param name="Reason">why it can't be loaded; null where it can</param>
/// <param name="Waiting">requests that wait</param>
/// <param name="Statistics">since it was loaded there</param>
public sealed record VersionStatus(ModelVersionId Version, ServingState State, string? Reason, int Waiting, ServingStatistics Statistics);
