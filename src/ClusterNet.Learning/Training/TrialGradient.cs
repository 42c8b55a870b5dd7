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
    // kernels that differ agree on single slices now and then: one in five of the digits' CNN with ATen's functions for AVX2 and AVX-512
    private const int FewestSamples = 256;
    private const int FewestSlices = 4;

    /// <summary>
    /// SHA-256, lower-case hexadecimal, of slice gradients at the weights that the model has now: of the first slices, and of one slice of each other number of samples that slices of the last batch of an epoch have, since kernels are
    /// chosen by that too.
    /// </summary>
    /// <param name="computer">of a model with its initial weights</param>
    /// <param name="plan">of the batches</param>
    /// <param name="length">of the model's layout</param>
    public static string Sha256(GradientComputer computer, BatchPlan plan, int length)
    {
        ArgumentNullException.ThrowIfNull(computer);
        ArgumentNullException.ThrowIfNull(plan);
        var gradient = new float[length];
        var heights = new HashSet<int> { 0 };
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var (samples, slices) = (0, 0);
        for (var step = 0L; step < plan.StepsPerEpoch && (samples < FewestSamples || slices < FewestSlices); step++)
        {
            for (var slice = 0; slice < plan.Slices; slice++)
                Take(step, slice);
        }
        for (var slice = 0; slice < plan.Slices; slice++)
        {
            if (!heights.Contains(plan.Slice(plan.StepsPerEpoch - 1, slice).Length))
                Take(plan.StepsPerEpoch - 1, slice);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());

        void Take(long step, int slice)
        {
            var count = plan.Slice(step, slice).Length;
            if (count == 0)
                return;
            heights.Add(count);
            (samples, slices) = (samples + count, slices + 1);
            Add(hash, computer, plan, step, slice, gradient);
        }
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
