using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace ClusterNet.Cluster.Models;

/// <summary>The digest that names weights: SHA-256 over little-endian float32, in lower-case hexadecimal.</summary>
internal static class WeightsDigest
{
    public static string Of(ReadOnlySpan<float> values)
    {
        if (!BitConverter.IsLittleEndian)
            throw new PlatformNotSupportedException("weights are digested as they lie in memory, which must be little-endian");
        return Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(values)));
    }
}
