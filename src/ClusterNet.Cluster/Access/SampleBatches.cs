using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using ClusterNet.Core.Faults;
using ClusterNet.Data;

namespace ClusterNet.Cluster.Access;

/// <summary>Cuts samples into requests that fit into a message between nodes.</summary>
internal static partial class SampleBatches
{
    /// <summary>The most bytes of samples in one message: well within the frames of Akka.Remote.</summary>
    public const int MostBytes = 256 * 1024;

    /// <summary>The samples in order, with the number of the first of each batch.</summary>
    public static IEnumerable<(int First, RawSamples Samples)> Of(RawSamples samples)
    {
        if (samples is RawSamples.Array array)
        {
            var width = array.Count == 0 ? 0 : array.Values.Length / array.Count;
            var count = Math.Max(1, MostBytes / Math.Max(1, width * sizeof(float)));
            for (var first = 0; first == 0 || first < array.Count; first += count)
            {
                var taken = Math.Min(count, array.Count - first);
                yield return (first, array with { Values = array.Values.Slice(first * width, taken * width), Targets = array.Targets.Count == 0 ? [] : [.. array.Targets.Skip(first).Take(taken)] });
            }
            yield break;
        }
        var table = (RawSamples.Table)samples;
        var start = 0;
        while (start == 0 || start < table.Rows.Count)
        {
            var (end, bytes) = (start, 0L);
            while (end < table.Rows.Count && (end == start || bytes < MostBytes))
                bytes += SizeOf(table.Rows[end++]);
            yield return (start, table with { Rows = [.. table.Rows.Skip(start).Take(end - start)] });
            start = Math.Max(end, 1);
        }
    }

    /// <summary>Whether one message takes them all.</summary>
    public static bool Fit(RawSamples samples) => Of(samples).Take(2).Count() < 2;

    /// <summary>A fault in a batch, numbered as in the whole.</summary>
    public static Fault Renumber(Fault fault, int first) => first == 0 ? fault : fault with
    {
        Place = Number().Replace(fault.Place, match => string.Create(CultureInfo.InvariantCulture, $"samples[{int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) + first}]"), 1),
    };

    private static long SizeOf(IReadOnlyList<string?> row)
    {
        // as on the wire: each cell with a tag and a length
        var bytes = 0L;
        foreach (var cell in row)
            bytes += 4 + (cell is null ? 0 : Encoding.UTF8.GetByteCount(cell));
        return bytes;
    }

    [GeneratedRegex(@"^samples\[([0-9]{1,9})\]")]
    private static partial Regex Number();
}
