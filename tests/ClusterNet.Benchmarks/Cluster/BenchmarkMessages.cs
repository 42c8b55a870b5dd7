using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Akka.Actor;
using Akka.Serialization;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Parameters.ParameterProtocol;

namespace ClusterNet.Benchmarks.Cluster;

/// <summary>What the two processes of the lane's benchmark say to each other over Akka.Remote.</summary>
internal static class BenchmarkMessages
{
    public sealed record Acknowledged(long Messages);

    public sealed record Ping(long Number);

    public sealed record Pong(long Number);

    public sealed record GetAllocated;

    public sealed record Allocated(long Bytes);
}

/// <summary>Writes them; and in the system that stands for what was before the lane, messages with tensors as well: copied into one array of bytes, and out of it into a pooled buffer.</summary>
/// <param name="system">unused, but given</param>
internal sealed class BenchmarkSerializer(ExtendedActorSystem system) : SerializerWithStringManifest(system)
{
    private const int HeadBytes = 24;

    private static readonly ShardId Shard = new(new JobId("benchmark"), 0);

    private readonly ConcurrentDictionary<int, TensorBufferPool> _pools = new();

    public override int Identifier => 7900;

    /// <summary>HOCON that binds the small messages, and tensors too where asked for.</summary>
    public static string Hocon(bool tensors)
    {
        Type[] types = [.. typeof(BenchmarkMessages).GetNestedTypes(), .. tensors ? new[] { typeof(Commands.Push), typeof(Replies.Pulled) } : []];
        return $$"""
            akka.actor {
              serializers.benchmark = "{{typeof(BenchmarkSerializer).AssemblyQualifiedName}}"
              serialization-bindings {
            {{string.Join('\n', types.Select(type => $"    \"{type.FullName}, {type.Assembly.GetName().Name}\" = benchmark"))}}
              }
            }
            """;
    }

    public override string Manifest(object o) => o.GetType().Name;

    public override byte[] ToBinary(object obj) => obj switch
    {
        BenchmarkMessages.Acknowledged m => Number(m.Messages),
        BenchmarkMessages.Ping m => Number(m.Number),
        BenchmarkMessages.Pong m => Number(m.Number),
        BenchmarkMessages.Allocated m => Number(m.Bytes),
        BenchmarkMessages.GetAllocated => [],
        Commands.Push m => Tensor(m.Step, m.Gradient),
        Replies.Pulled m => Tensor(m.Version, m.Weights),
        _ => throw new ArgumentException(obj.GetType().Name, nameof(obj)),
    };

    public override object FromBinary(byte[] bytes, string manifest) => manifest switch
    {
        nameof(BenchmarkMessages.Acknowledged) => new BenchmarkMessages.Acknowledged(BinaryPrimitives.ReadInt64LittleEndian(bytes)),
        nameof(BenchmarkMessages.Ping) => new BenchmarkMessages.Ping(BinaryPrimitives.ReadInt64LittleEndian(bytes)),
        nameof(BenchmarkMessages.Pong) => new BenchmarkMessages.Pong(BinaryPrimitives.ReadInt64LittleEndian(bytes)),
        nameof(BenchmarkMessages.Allocated) => new BenchmarkMessages.Allocated(BinaryPrimitives.ReadInt64LittleEndian(bytes)),
        nameof(BenchmarkMessages.GetAllocated) => new BenchmarkMessages.GetAllocated(),
        nameof(Commands.Push) => new Commands.Push(Shard, Generation.None, BinaryPrimitives.ReadInt64LittleEndian(bytes), default, Tensor(bytes), default),
        nameof(Replies.Pulled) => new Replies.Pulled(Shard, Generation.None, BinaryPrimitives.ReadInt64LittleEndian(bytes), Tensor(bytes)),
        _ => throw new ArgumentException(manifest, nameof(manifest)),
    };

    private static byte[] Number(long number)
    {
        var bytes = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
        return bytes;
    }

    private static byte[] Tensor(long number, TensorPayload payload)
    {
        var values = MemoryMarshal.AsBytes(payload.Span);
        var bytes = GC.AllocateUninitializedArray<byte>(HeadBytes + values.Length);
        BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
        values.CopyTo(bytes.AsSpan(HeadBytes));
        return bytes;
    }

    private TensorPayload Tensor(byte[] bytes)
    {
        var length = (bytes.Length - HeadBytes) / sizeof(float);
        var buffer = _pools.GetOrAdd(length, static elements => new TensorBufferPool(elements)).Rent();
        bytes.AsSpan(HeadBytes).CopyTo(MemoryMarshal.AsBytes(buffer.Span));
        return new TensorPayload(buffer, 0, length);
    }
}
