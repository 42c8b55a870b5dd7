using System.Numerics;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Core.Optimizers;

/// <summary>
/// Tieleman and Hinton 2012 as torch.optim.RMSprop has it, optionally centered (Graves 2013, equation 38) and with momentum. Slots: mean square, then mean gradient (centered),
/// then momentum, without gaps.
/// </summary>
internal readonly struct RmsPropRule<TCentered, TMomentum>(OptimizerSpec spec, StepConstants constants) : IUpdateRule
    where TCentered : struct, ISwitch
    where TMomentum : struct, ISwitch
{
    private readonly float _alpha = (float)spec.Alpha;
    private readonly float _inflow = (float)(1 - spec.Alpha);
    private readonly float _epsilon = (float)constants.Epsilon;
    private readonly float _momentum = (float)spec.Momentum;
    private readonly float _rate = (float)constants.LearningRate;
    private readonly float _keep = constants.Keep;

    /// <inheritdoc/>
    public static int SlotCount => 1 + (TCentered.IsOn ? 1 : 0) + (TMomentum.IsOn ? 1 : 0);

    /// <inheritdoc/>
    public Vector<float> Next(Vector<float> g, Vector<float> w, ref Vector<float> slot0, ref Vector<float> slot1, ref Vector<float> slot2)
    {
        slot0 = _alpha * slot0 + _inflow * (g * g);
        var square = slot0;
        if (TCentered.IsOn)
        {
            slot1 = _alpha * slot1 + _inflow * g;
            square -= slot1 * slot1;
        }
        var step = g / (Vector.SquareRoot(square) + new Vector<float>(_epsilon));
        if (TMomentum.IsOn)
        {
            ref var momentum = ref TCentered.IsOn ? ref slot2 : ref slot1;
            step = momentum = _momentum * momentum + step;
        }
        return _keep * w - _rate * step;
    }
}
