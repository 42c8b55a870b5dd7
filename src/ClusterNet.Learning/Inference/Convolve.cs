using System.Runtime.InteropServices;
using ClusterNet.Learning.Kernels;
using ClusterNet.Learning.Native;

namespace ClusterNet.Learning.Inference;

/// <summary>A convolution without dilation or groups; where its weights, [outputs, channels, window], and its bias begin in the model's.</summary>
internal sealed record Convolve(
    int From, int Channels, int Outputs, int WindowHeight, int WindowWidth, int StrideHeight, int StrideWidth, int PaddingHeight, int PaddingWidth, int Weights, int? Bias) : PictureOperation(From)
{
    private int Window => checked(WindowHeight * WindowWidth);

    /// <inheritdoc/>
    public override PictureSize SizeBehind(PictureSize from) => from.Channels == Channels
        ? new PictureSize(Outputs, Places(from.Height, WindowHeight, StrideHeight, PaddingHeight), Places(from.Width, WindowWidth, StrideWidth, PaddingWidth))
        : throw new ArgumentException($"{from.Channels} channels for a convolution of {Channels}");

    /// <inheritdoc/>
    public override PictureStep Over(IReadOnlyList<Picture> pictures, Picture to) => new Step(this, pictures[From], to);

    /// <summary>The weights as the kernel reads them, and the places that it computes.</summary>
    private sealed unsafe class Step : PictureStep
    {
        private readonly Convolve _operation;
        private readonly Picture _from;
        private readonly Picture _to;
        private readonly WindowSizes _sizes;
        private readonly Place[] _places;
        private float[]? _taken;
        private readonly AlignedVector<float> _packed;
        private bool _isPacked;

        public Step(Convolve operation, Picture from, Picture to)
        {
            (_operation, _from, _to) = (operation, from, to);
            _sizes = new WindowSizes(operation.Outputs, operation.WindowHeight, checked(operation.WindowWidth * operation.Channels), from.RowStep);
            _places = ConvolutionKernel.Table([.. Enumerable.Range(0, to.Size.Height * to.Size.Width).Select(place =>
            {
                var (row, column) = Math.DivRem(place, to.Size.Width);
                return new Place(from.IndexOf((row * operation.StrideHeight) - operation.PaddingHeight, (column * operation.StrideWidth) - operation.PaddingWidth), to.IndexOf(row, column));
            })]);
            _taken = new float[checked((operation.Outputs * operation.Channels * operation.Window) + (operation.Bias is null ? 0 : operation.Outputs))];
            _packed = new AlignedVector<float>(ConvolutionKernel.PackedLength(operation.Channels, operation.Outputs, operation.Window));
        }

        /// <inheritdoc/>
        public override long Multiplications => (long)_to.Length * _operation.Channels * _operation.Window;

        /// <summary>Packs them, if they are others than it has; which those are need not be kept when they are final.</summary>
        public override void TakeWeights(ReadOnlySpan<float> model, bool areFinal)
        {
            if (_taken is null)
                return;
            var weights = model.Slice(_operation.Weights, _operation.Outputs * _operation.Channels * _operation.Window);
            var bias = _operation.Bias is { } begin ? model.Slice(begin, _operation.Outputs) : default;
            var takenWeights = _taken.AsSpan(0, weights.Length);
            var takenBias = _taken.AsSpan(weights.Length);
            if (!_isPacked || !AreAlike(weights, takenWeights) || !AreAlike(bias, takenBias))
            {
                weights.CopyTo(takenWeights);
                bias.CopyTo(takenBias);
                ConvolutionKernel.Pack(weights, bias, _operation.Channels, _operation.Outputs, _operation.Window, _packed.Span);
                _isPacked = true;
            }
            if (areFinal)
                _taken = null;
        }

        /// <inheritdoc/>
        public override void Compute(int threads)
        {
            fixed (float* x = _from.Values, packed = _packed.Span, y = _to.Values)
                ConvolutionKernel.Forward(x, packed, y, _places, _sizes, _operation.IsRectified, threads);
        }

        /// <inheritdoc/>
        public override void Dispose()
        {
            _packed.Dispose();
            base.Dispose();
        }

        private static bool AreAlike(ReadOnlySpan<float> one, ReadOnlySpan<float> other) => MemoryMarshal.AsBytes(one).SequenceEqual(MemoryMarshal.AsBytes(other));
    }
}
