namespace ClusterNet.Data.Sources;

/// <summary>
/// Colour pictures come from NumPy with their channels last, [height, width, channels], and models see them first. Taking the one for the other would only
/// scramble the pixels, which no error would tell.
/// </summary>
internal static class ChannelOrder
{
    /// <summary>Moves the channels to the front where the samples are those of <paramref name="wanted"/> with channels last; anything else stays as it is.</summary>
    /// <param name="samples">samples of any shape</param>
    /// <param name="wanted">the shape a model sees: [channels, height, width] for pictures</param>
    public static ArrayFeatures First(ArrayFeatures samples, IReadOnlyList<int> wanted)
    {
        if (wanted is not [var channels and > 1, var height, var width] || samples.Shape.SequenceEqual(wanted) || !samples.Shape.SequenceEqual([height, width, channels]))
            return samples;
        var pixels = height * width;
        var source = samples.Values.Span;
        var values = new float[source.Length];
        for (var start = 0; start < source.Length; start += samples.Elements)
        {
            for (var pixel = 0; pixel < pixels; pixel++)
            {
                for (var channel = 0; channel < channels; channel++)
                    values[start + (channel * pixels) + pixel] = source[start + (pixel * channels) + channel];
            }
        }
        return samples with { Shape = [.. wanted], Values = values };
    }
}
