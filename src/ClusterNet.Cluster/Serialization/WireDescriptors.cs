using ClusterNet.Cluster.Serialization.Wire;
using Google.Protobuf.Reflection;

namespace ClusterNet.Cluster.Serialization;

/// <summary>
/// What protobuf knows of each file of messages. It makes that when a message of the file is read or written for the first time, and goes through the files that are imported without a lock: where two threads do so at once, one of them may
/// fail, and then nothing of its file can be read as long as the process lives. So it is made here for all files, one after the other, before anything is read.
/// </summary>
internal static class WireDescriptors
{
    /// <summary>Of all files, those that others import first.</summary>
    public static IReadOnlyList<FileDescriptor> All { get; } =
    [
        CommonReflection.Descriptor,
        WorkersReflection.Descriptor,
        TrainingReflection.Descriptor,
        ParametersReflection.Descriptor,
        ModelsReflection.Descriptor,
        ServingReflection.Descriptor,
        AccessReflection.Descriptor,
        LaneReflection.Descriptor,
    ];
}
