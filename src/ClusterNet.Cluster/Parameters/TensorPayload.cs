using ClusterNet.Core.Parameters;

namespace ClusterNet.Cluster.Parameters;

/// <summary>
/// A run of float32 values in a message. It carries one hold on its buffer, which passes to whoever receives the message: the receiver calls <see cref="Release"/> once it has
/// read the values. Within a node it travels by reference; between nodes the bytes are little-endian.
/// </summary>
/// <param name="Buffer">holds the values; read-only from here on</param>
/// <param name="Offset">of the first</param>
/// <param name="Length">how many</param>
public readonly record struct TensorPayload(TensorBuffer Buffer, int Offset, int Length)
{
    /// <summary>The whole of <paramref name="buffer"/>, with a hold of its own.</summary>
    public static TensorPayload Of(TensorBuffer buffer) => new(buffer.Share(), 0, buffer.Length);

    /// <summary>A run of <paramref name="buffer"/>, with a hold of its own.</summary>
    public static TensorPayload Of(TensorBuffer buffer, ShardRange range) => new(buffer.Share(), range.Offset, range.Length);

    /// <summary>The values.</summary>
    public ReadOnlySpan<float> Span => Buffer.Span.Slice(Offset, Length);

    /// <summary>The values, for who can't have a span.</summary>
    public ReadOnlyMemory<float> Memory => Buffer.Memory.Slice(Offset, Length);

    /// <summary>Gives the hold back.</summary>
    public void Release() => Buffer.Release();

    /// <summary>Says how long it is, not what it holds.</summary>
    public override string ToString() => $"float32[{Length}]";
}
