using System.Numerics;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Core.Optimizers;

/// <summary>w - lr g.</summary>
internal readonly struct SgdRule(StepConstants constants) : IUpdateRule
{
    private readonly float _rate = (float)constants.LearningRate;
    private readonly float _keep = constants.Keep;

    /// <inheritdoc/>
    public static int SlotCount => 0;

    /// <inheritdoc/>
    public Vector<float> Next(Vector<float> g, Vector<float> w, ref Vector<float> slot0, ref Vector<float> slot1, ref Vector<float> slot2) => _keep * w - _rate * g;
}

/// <summary>
/// SGD with momentum as torch.optim.SGD has it: b = momentum b + (1 - dampening) g, in the first step b = g; w - lr b, or with Nesterov w - lr (g + momentum b). Slot: b.
/// </summary>
internal readonly struct MomentumRule<TNesterov>(OptimizerSpec spec, StepConstants constants) : IUpdateRule
    where TNesterov : struct, ISwitch
{
    private readonly float _rate = (float)constants.LearningRate;
    private readonly float _keep = constants.Keep;
    private readonly float _momentum = (float)spec.Momentum;
    private readonly float _inflow = constants.Updates == 0 ? 1 : (float)(1 - spec.Dampening);

    /// <inheritdoc/>
    public static int SlotCount => 1;

    /// <inheritdoc/>
    public Vector<float> Next(Vector<float> g, Vector<float> w, ref Vector<float> slot0, ref Vector<float> slot1, ref Vector<float> slot2)
    {
        slot0 = _momentum * slot0 + _inflow * g;
        return _keep * w - _rate * (TNesterov.IsOn ? g + _momentum * slot0 : slot0);
    }
}
