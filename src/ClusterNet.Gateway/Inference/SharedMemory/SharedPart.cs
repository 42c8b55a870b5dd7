using ClusterNet.Cluster.Serving;

namespace ClusterNet.Gateway.Inference.SharedMemory;

/// <summary>The values of one tensor, in place of those in a request or an answer: a part of a region.</summary>
/// <param name="Region">its name</param>
/// <param name="Offset">bytes from the region's start</param>
/// <param name="ByteSize">bytes</param>
internal readonly record struct SharedPart(string Region, ulong Offset, ulong ByteSize)
{
    /// <summary>The parameter of a tensor that names the region.</summary>
    public const string RegionName = "shared_memory_region";

    /// <summary>The parameter that says where in the region.</summary>
    public const string OffsetName = "shared_memory_offset";

    /// <summary>The parameter that says how many bytes.</summary>
    public const string ByteSizeName = "shared_memory_byte_size";

    /// <summary>From a tensor's parameters.</summary>
    /// <param name="region">null where there is none</param>
    /// <param name="offset">0 where null</param>
    /// <param name="byteSize">has to be there where a region is</param>
    /// <param name="place">of the parameters</param>
    /// <returns>null where no region is named</returns>
    /// <exception cref="PredictionException">half of it is there</exception>
    public static SharedPart? Of(string? region, ulong? offset, ulong? byteSize, string place)
    {
        if (region is null)
            return offset is null && byteSize is null ? null : throw Refusal.Invalid($"{place}.{(offset is null ? ByteSizeName : OffsetName)}", $"without '{RegionName}', which says of what");
        return new SharedPart(region, offset ?? 0, byteSize ?? throw Refusal.Invalid($"{place}.{RegionName}", $"without '{ByteSizeName}'"));
    }
}
