using System.Numerics;

namespace ClusterNet.Core.Optimizers;

/// <summary>
/// One step of an update rule on a vector of elements. Implemented by structs that hold the step's constants, so that <see cref="UpdateKernel"/> compiles to one tight loop for
/// each. An implementation may use only elementwise +, -, *, / and square root, never a fused multiply-add: each element's result is then the same bits at any place in a
/// vector of any width on any processor.
/// </summary>
internal interface IUpdateRule
{
    /// <summary>How many of the three slots it uses.</summary>
    static abstract int SlotCount { get; }

    /// <summary>What becomes of weights <paramref name="w"/> under gradient <paramref name="g"/>. Changes the slots it uses.</summary>
    /// <returns>the new weights; for LAMB the update that the trust ratio is yet to scale</returns>
    Vector<float> Next(Vector<float> g, Vector<float> w, ref Vector<float> slot0, ref Vector<float> slot1, ref Vector<float> slot2);
}

/// <summary>A truth value that is known when a kernel is compiled, so that what is off costs nothing.</summary>
internal interface ISwitch
{
    /// <summary>The value.</summary>
    static abstract bool IsOn { get; }
}

/// <summary>Yes.</summary>
internal readonly struct On : ISwitch
{
    /// <inheritdoc/>
    public static bool IsOn => true;
}

/// <summary>No.</summary>
internal readonly struct Off : ISwitch
{
    /// <inheritdoc/>
    public static bool IsOn => false;
}

/// <summary>What every rule needs to know of a step. Constants are computed in double and rounded to float once, as torch does.</summary>
/// <param name="Step">0-based</param>
/// <param name="Updates">updates that the slots have seen; <paramref name="Step"/> unless a step is applied in parts</param>
/// <param name="LearningRate">base rate times the schedule's factor</param>
/// <param name="Epsilon">keeps denominators off zero</param>
/// <param name="Keep">what decoupled weight decay leaves of a weight: 1 - rate x decay, or 1</param>
internal readonly record struct StepConstants(long Step, long Updates, double LearningRate, double Epsilon, float Keep);
