using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace ClusterNet.Learning.Inference;

/// <summary>The sum of two pictures of one size.</summary>
internal sealed record Sum(int From, int Other) : PictureOperation(From)
{
    /// <inheritdoc/>
    public override PictureSize SizeBehind(PictureSize from) => from;

    /// <inheritdoc/>
    public override PictureStep Over(IReadOnlyList<Picture> pictures, Picture to) => new Step(pictures[From], pictures[Other], to, IsRectified);

    private sealed class Step(Picture one, Picture other, Picture to, bool isRectified) : PictureStep
    {
        public override void Compute(int threads)
        {
            for (var row = 0; row < to.Size.Height; row++)
            {
                var target = to.Row(row);
                TensorPrimitives.Add(one.Row(row), other.Row(row), target);
                if (isRectified)
                    TensorPrimitives.Max(target, 0f, target);
            }
        }
    }
}
