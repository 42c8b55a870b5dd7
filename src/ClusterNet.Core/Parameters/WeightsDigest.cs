using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace ClusterNet.Core.Parameters;

/// <summary>The identity of weights: what two runs that promise the same model are compared by.</summary>
public static class WeightsDigest
{
    /// <summary>SHA-256, lower-case hexadecimal, over the little-endian float32 values in the layout's order.</summary>
    public static string Sha256(ReadOnlySpan<float> weights)
    {
        if (BitConverter.IsLittleEndian)
            return Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes(weights)));
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> bytes = stackalloc byte[sizeof(float)];
        foreach (var weight in weights)
        {
            BinaryPrimitives.WriteSingleLittleEndian(bytes, weight);
            hash.AppendData(bytes);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Whether no value is NaN or infinite.</summary>
    public static bool AllFinite(ReadOnlySpan<float> weights)
    {
        foreach (var weight in weights)
        {
            if (!float.IsFinite(weight))
                return false;
        }
        return true;
    }
}
