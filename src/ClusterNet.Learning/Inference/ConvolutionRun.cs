using System.Runtime.InteropServices;
using ClusterNet.Learning.Kernels;
using ClusterNet.Learning.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Inference;

/// <summary>
/// Convolutions and what is called in between (relu, pooling, residual blocks), computed picture by picture: convolutions by <see cref="ConvolutionKernel"/>, in the memory of a <see cref="ConvolutionPlan"/>. A signal is a picture of one row.
/// </summary>
internal sealed class ConvolutionRun : IInferenceRun
{
    private readonly TrainableModel _model;
    private readonly int _axes;
    private readonly List<PictureOperation> _operations = [];
    private ConvolutionPlan? _plan;
    private bool _isFlat;

    private ConvolutionRun(TrainableModel model, int axes)
    {
        _model = model;
        _axes = axes;
    }

    /// <inheritdoc/>
    public long Multiplications => _plan?.Multiplications ?? 0;

    /// <summary>The number of the picture that was computed last: 0 comes in, each operation makes the next one.</summary>
    private int Last => _operations.Count;

    /// <summary>A run that begins with this module; null where that is not a convolution that can be computed so.</summary>
    public static ConvolutionRun? TryBegin(TrainableModel model, nn.Module<Tensor, Tensor> module)
    {
        var first = module is ConvolutionBlock block ? block.Body[0] : module;
        if (first is not Convolution convolution)
            return null;
        var run = new ConvolutionRun(model, convolution.weight!.shape.Length - 2);
        return run.TryAdd(module) ? run : null;
    }

    /// <inheritdoc/>
    public bool TryAdd(nn.Module<Tensor, Tensor> module) => !_isFlat && module switch
    {
        Flatten { start_dim: 1, end_dim: -1 } => _isFlat = true,
        ReLU => TryRectify(),
        Convolution convolution => TryAdd(convolution),
        GroupNorm norm => TryAdd(norm),
        ConvolutionBlock { Activation: not null } block => TryAdd(block),
        MaxPool1d { padding: null or 0, dilation: null or 1, ceil_mode: false } pool when _axes == 1 => TryPool(true, [1, pool.kernel_size], [1, pool.stride ?? pool.kernel_size]),
        MaxPool2d { padding: null or [0] or [0, 0], dilation: null or [1] or [1, 1], ceil_mode: false } pool when _axes == 2 => TryPool(true, pool.kernel_size, pool.stride ?? pool.kernel_size),
        AvgPool1d { padding: null or 0, ceil_mode: false } pool when _axes == 1 => TryPool(false, [1, pool.kernel_size], [1, pool.stride ?? pool.kernel_size]),
        AvgPool2d { padding: null or [0] or [0, 0], ceil_mode: false, divisor_override: null } pool when _axes == 2 => TryPool(false, pool.kernel_size, pool.stride ?? pool.kernel_size),
        AdaptiveAvgPool1d { output_size: 1 } when _axes == 1 => TryPool(false, [0], [1]),
        AdaptiveAvgPool2d { output_size: [1] or [1, 1] } when _axes == 2 => TryPool(false, [0], [1]),
        _ => false,
    };

    /// <inheritdoc/>
    public Tensor Call(Tensor input)
    {
        var shape = input.shape;
        if (_plan is null || !_plan.Takes(shape))
        {
            _plan?.Dispose();
            _plan = null;
            _plan = new ConvolutionPlan(_operations, _axes, shape);
        }
        var pictures = checked((int)shape[0]);
        var output = empty(_isFlat ? [pictures, _plan.OutputLength] : [pictures, .. _plan.OutputShape], ScalarType.Float32);
        var source = MemoryMarshal.Cast<byte, float>(input.contiguous().bytes);
        var target = MemoryMarshal.Cast<byte, float>(output.bytes);
        _plan.TakeWeights(_model.CurrentWeights, _model.AreWeightsFinal);
        for (var picture = 0; picture < pictures; picture++)
            _plan.Compute(source.Slice(picture * _plan.InputLength, _plan.InputLength), target.Slice(picture * _plan.OutputLength, _plan.OutputLength), _model.Threads);
        return output;
    }

    /// <inheritdoc/>
    public void Dispose() => _plan?.Dispose();

    private bool Add(PictureOperation operation)
    {
        _operations.Add(operation);
        return true;
    }

    private bool TryAdd(Convolution module)
    {
        if (module is not (Conv1d or Conv2d) || module.groups != 1 || module.padding_type is not null || module.padding_mode != PaddingModes.Zeros || module.weight!.shape.Length - 2 != _axes)
            return false;
        int[] window = [.. module.weight.shape[2..].Select(axis => checked((int)axis))];
        if (Axes(module.stride) is not [var strideHeight, var strideWidth] || Axes(module.padding) is not [var height, var width] || module.dilation.Any(dilation => dilation != 1))
            return false;
        if (_axes == 1)
            height = 0;
        return Add(new Convolve(
            Last, checked((int)module.in_channels), checked((int)module.out_channels), _axes == 1 ? 1 : window[0], window[^1], strideHeight, strideWidth, height, width, _model.PlaceOf(module.weight),
            module.bias is null ? null : _model.PlaceOf(module.bias)));
    }

    /// <summary>In a run it is behind a convolution: the channels are those of the last one.</summary>
    private bool TryAdd(GroupNorm norm)
    {
        var channels = _operations.OfType<Convolve>().Last().Outputs;
        return channels % norm.num_groups == 0
            && Add(new Normalise(Last, channels, checked((int)norm.num_groups), norm.eps, norm.weight is null ? null : _model.PlaceOf(norm.weight), norm.bias is null ? null : _model.PlaceOf(norm.bias)));
    }

    private bool TryAdd(ConvolutionBlock block)
    {
        var (begin, from) = (_operations.Count, Last);
        if (block.Body.All(TryAdd))
        {
            var (body, shortcut) = (Last, from);
            if (block.Shortcut is null || TryAdd(block.Shortcut))
            {
                if (block.Shortcut is not null)
                {
                    _operations[^1] = _operations[^1] with { From = from };
                    shortcut = Last;
                }
                Add(new Sum(body, shortcut));
                if (TryAdd(block.Activation!))
                    return true;
            }
        }
        _operations.RemoveRange(begin, _operations.Count - begin);
        return false;
    }

    /// <summary>A picture that only what comes next reads, or one that is summed before it is rectified, can be rectified as it is written.</summary>
    private bool TryRectify()
    {
        if (_operations[^1] is Pool)
            return false;
        _operations[^1] = _operations[^1] with { IsRectified = true };
        return true;
    }

    private bool TryPool(bool isMaximum, long[] window, long[] stride) =>
        Axes(window) is [var height, var width] && Axes(stride) is [var down, var right] && Add(new Pool(Last, isMaximum, height, width, down, right));

    /// <summary>One number of each of the two axes; null where there is none.</summary>
    private static int[]? Axes(long[]? values) => values switch
    {
        [var both] => [checked((int)both), checked((int)both)],
        [var height, var width] => [checked((int)height), checked((int)width)],
        _ => null,
    };
}
