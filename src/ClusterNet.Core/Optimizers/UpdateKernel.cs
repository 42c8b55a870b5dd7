using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace ClusterNet.Core.Optimizers;

/// <summary>How a gradient sum becomes the gradient that a rule sees. What is unused is neutral: an infinite bound, a scale of 1, no decay.</summary>
/// <param name="Divisor">weight of the batch</param>
/// <param name="Bound">on each element's magnitude</param>
/// <param name="Scale">of the bounded mean: what clipping by norm leaves</param>
/// <param name="Decay">L2 term: this times the weight is added</param>
internal readonly record struct GradientPreparation(float Divisor, float Bound, float Scale, float Decay)
{
    /// <summary>The batch's mean gradient, bounded by value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector<float> BoundedMean(Vector<float> sum)
    {
        var mean = sum / Divisor;
        var bound = new Vector<float>(Bound);
        // selection rather than Min and Max: a NaN stays what it is everywhere
        mean = Vector.ConditionalSelect(Vector.GreaterThan(mean, bound), bound, mean);
        return Vector.ConditionalSelect(Vector.LessThan(mean, -bound), -bound, mean);
    }

    /// <summary>What the rule sees.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector<float> Gradient(Vector<float> sum, Vector<float> weights) => Scale * BoundedMean(sum) + Decay * weights;
}

/// <summary>The one loop that all rules share: one pass over gradient, weights and slots.</summary>
internal static class UpdateKernel
{
    /// <summary>Applies <paramref name="rule"/> to every element. All spans and slots are of one length; <paramref name="result"/> overlaps none of the others.</summary>
    public static void Run<TRule>(
        TRule rule, GradientPreparation preparation, ReadOnlySpan<float> gradientSum, ReadOnlySpan<float> weights, Span<float> result, IReadOnlyList<float[]> slots)
        where TRule : struct, IUpdateRule
    {
        if (slots.Count != TRule.SlotCount)
            throw new ArgumentException($"{slots.Count} slots for a rule with {TRule.SlotCount}", nameof(slots));
        var length = result.Length;
        var pointers = new Pointers
        {
            Gradient = ref MemoryMarshal.GetReference(gradientSum[..length]),
            Weights = ref MemoryMarshal.GetReference(weights[..length]),
            Result = ref MemoryMarshal.GetReference(result),
            Slot0 = ref Slot(slots, 0, length),
            Slot1 = ref Slot(slots, 1, length),
            Slot2 = ref Slot(slots, 2, length),
        };
        var whole = length - length % Vector<float>.Count;
        Pass<TRule, WholeVector>(rule, preparation, pointers, 0, whole);
        Pass<TRule, OneElement>(rule, preparation, pointers, whole, length);
    }

    /// <summary>The bounded mean of <paramref name="gradientSum"/>, what its norm is taken of.</summary>
    public static void BoundedMean(GradientPreparation preparation, ReadOnlySpan<float> gradientSum, Span<float> result)
    {
        var i = 0;
        for (; i <= result.Length - Vector<float>.Count; i += Vector<float>.Count)
            preparation.BoundedMean(new Vector<float>(gradientSum[i..])).CopyTo(result[i..]);
        for (; i < result.Length; i++)
            result[i] = preparation.BoundedMean(new Vector<float>(gradientSum[i]))[0];
    }

    /// <summary>weights - factor x what <paramref name="update"/> holds, into <paramref name="update"/>.</summary>
    public static void Descend(ReadOnlySpan<float> weights, float factor, Span<float> update)
    {
        var i = 0;
        for (; i <= update.Length - Vector<float>.Count; i += Vector<float>.Count)
            (new Vector<float>(weights[i..]) - factor * new Vector<float>(update[i..])).CopyTo(update[i..]);
        for (; i < update.Length; i++)
            update[i] = (new Vector<float>(weights[i]) - factor * new Vector<float>(update[i]))[0];
    }

    private static void Pass<TRule, TAccess>(TRule rule, GradientPreparation preparation, Pointers at, int from, int to)
        where TRule : struct, IUpdateRule
        where TAccess : struct, IAccess
    {
        for (var i = (nuint)from; i < (nuint)to; i += (nuint)TAccess.Count)
        {
            var slot0 = TRule.SlotCount > 0 ? TAccess.Load(in at.Slot0, i) : default;
            var slot1 = TRule.SlotCount > 1 ? TAccess.Load(in at.Slot1, i) : default;
            var slot2 = TRule.SlotCount > 2 ? TAccess.Load(in at.Slot2, i) : default;
            var weights = TAccess.Load(in at.Weights, i);
            var gradient = preparation.Gradient(TAccess.Load(in at.Gradient, i), weights);
            TAccess.Store(rule.Next(gradient, weights, ref slot0, ref slot1, ref slot2), ref at.Result, i);
            if (TRule.SlotCount > 0)
                TAccess.Store(slot0, ref at.Slot0, i);
            if (TRule.SlotCount > 1)
                TAccess.Store(slot1, ref at.Slot1, i);
            if (TRule.SlotCount > 2)
                TAccess.Store(slot2, ref at.Slot2, i);
        }
    }

    private static ref float Slot(IReadOnlyList<float[]> slots, int index, int length) =>
        ref index < slots.Count ? ref MemoryMarshal.GetReference(slots[index].AsSpan(0, length)) : ref Unsafe.NullRef<float>();

    private ref struct Pointers
    {
        public ref readonly float Gradient;
        public ref readonly float Weights;
        public ref float Result;
        public ref float Slot0;
        public ref float Slot1;
        public ref float Slot2;
    }

    // The elements after the last whole vector take the same vector instructions, one element at a time: no second, scalar copy of the rules that could differ.
    private interface IAccess
    {
        static abstract int Count { get; }

        static abstract Vector<float> Load(ref readonly float start, nuint index);

        static abstract void Store(Vector<float> values, ref float start, nuint index);
    }

    private readonly struct WholeVector : IAccess
    {
        public static int Count => Vector<float>.Count;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector<float> Load(ref readonly float start, nuint index) => Vector.LoadUnsafe(in start, index);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Store(Vector<float> values, ref float start, nuint index) => values.StoreUnsafe(ref start, index);
    }

    private readonly struct OneElement : IAccess
    {
        public static int Count => 1;

        public static Vector<float> Load(ref readonly float start, nuint index) => new(Unsafe.Add(ref Unsafe.AsRef(in start), index));

        public static void Store(Vector<float> values, ref float start, nuint index) => Unsafe.Add(ref start, index) = values[0];
    }
}
