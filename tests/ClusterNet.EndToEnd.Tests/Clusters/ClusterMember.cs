namespace ClusterNet.EndToEnd.Tests.Clusters;

/// <summary>A node of a <see cref="ProcessCluster"/>. A node that is started again is another process with the same name, roles and address.</summary>
/// <param name="Name">its name, and that of its data directory</param>
/// <param name="Roles">with commas between them</param>
/// <param name="Host">where it listens</param>
/// <param name="Port">of Akka.Remote</param>
/// <param name="Process">what runs</param>
internal sealed record ClusterMember(string Name, string Roles, string Host, int Port, NodeProcess Process);
