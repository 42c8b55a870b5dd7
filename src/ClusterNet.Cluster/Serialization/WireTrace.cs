using ClusterNet.Cluster.Serialization.Wire;

namespace ClusterNet.Cluster.Serialization.Wire
{
    /// <summary>A protobuf message with the optional field <c>trace</c>, always number 15: a W3C traceparent.</summary>
    internal interface IWireTraced
    {
        string Trace { get; set; }

        bool HasTrace { get; }
    }

    internal sealed partial class JobSubmit : IWireTraced;

    internal sealed partial class JobSubmitted : IWireTraced;

    internal sealed partial class WorkerAssign : IWireTraced;

    internal sealed partial class WorkerContinue : IWireTraced;

    internal sealed partial class ShardOpen : IWireTraced;

    internal sealed partial class ShardPush : IWireTraced;

    internal sealed partial class ServingSamples : IWireTraced;

    internal sealed partial class ServingRequest : IWireTraced;

    internal sealed partial class ServingInfer : IWireTraced;
}

namespace ClusterNet.Cluster.Serialization
{
    /// <summary>Trace context between nodes: Akka does not carry <see cref="System.Diagnostics.Activity.Current"/> along.</summary>
    internal static class WireTrace
    {
        /// <summary>Writes a traceparent where there is one.</summary>
        public static T Traced<T>(this T wire, string? trace)
            where T : IWireTraced
        {
            if (trace is not null)
                wire.Trace = trace;
            return wire;
        }

        /// <summary>What was written; null where nothing was.</summary>
        public static string? TraceOf(this IWireTraced wire) => wire.HasTrace ? wire.Trace : null;
    }
}
