using System.Buffers.Binary;
using System.Security.Cryptography;
using ClusterNet.Core.Plans;

namespace ClusterNet.Learning.Training;

/// <summary>
/// Tells apart processors and libraries that do not compute the same bits of one model. libtorch, MKL and oneDNN choose their kernels by the processor, so that nodes of different kinds may round differently: what they sum would be a model
/// that depends on who computed which slice. The job's own first gradients tell, since those kernels are the ones that matter.
/// </summary>
public static class TrialGradient
{
    /// <summary>SHA-256, lower-case hexadecimal, of two slice gradients at the weights that the model has now: of the first batch, and of the last one of an epoch, which may be smaller and be computed in another way.</summary>
    /// <param name="computer">of a model with its initial weights</param>
    /// <param name="plan">of the batches</param>
    /// <param name="length">of the model's layout</param>
    public static string Sha256(GradientComputer computer, BatchPlan plan, int length)
    {
        ArgumentNullException.ThrowIfNull(computer);
        ArgumentNullException.ThrowIfNull(plan);
        var gradient = new float[length];
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Add(hash, computer, plan, 0, 0, gradient);
        var last = plan.StepsPerEpoch - 1;
        Add(hash, computer, plan, last, Enumerable.Range(0, plan.Slices).Last(slice => slice == 0 || !plan.Slice(last, slice).IsEmpty), gradient);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Add(IncrementalHash hash, GradientComputer computer, BatchPlan plan, long step, int slice, float[] gradient)
    {
        var statistics = computer.Compute(step, slice, plan.Slice(step, slice), gradient);
        Span<byte> loss = stackalloc byte[sizeof(double)];
        BinaryPrimitives.WriteDoubleLittleEndian(loss, statistics.Loss);
        hash.AppendData(loss);
        Span<byte> bytes = stackalloc byte[sizeof(float) * 256];
        for (var first = 0; first < gradient.Length; first += 256)
        {
            var part = gradient.AsSpan(first, Math.Min(256, gradient.Length - first));
            for (var i = 0; i < part.Length; i++)
                BinaryPrimitives.WriteSingleLittleEndian(bytes[(i * sizeof(float))..], part[i]);
            hash.AppendData(bytes[..(part.Length * sizeof(float))]);
        }
    }
}
