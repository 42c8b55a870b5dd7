using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Metrics;
using ClusterNet.Core.Plans;
using ClusterNet.Data;

namespace ClusterNet.Cluster.Access;

/// <summary>Cuts samples into requests that fit into a message between nodes.</summary>
internal static partial class SampleBatches
{
    /// <summary>The most bytes of samples in one message: well within the frames of Akka.Remote.</summary>
    public const int MostBytes = 256 * 1024;

    /// <summary>So many samples have answers that fit into one message, whatever the model.</summary>
    public const int SmallCount = MostBytes / (MetricAccumulator.MaxClasses * sizeof(float));

    /// <summary>As many samples have answers that fit into one message.</summary>
    /// <param name="outputs">of a sample</param>
    public static int MostRows(int outputs) => Math.Max(1, MostBytes / (Math.Max(1, outputs) * sizeof(float)));

    /// <summary>What samples take in a message, about.</summary>
    public static long BytesOf(RawSamples samples) => samples switch
    {
        RawSamples.Array array => ((long)array.Values.Length * sizeof(float)) + array.Targets.Sum(target => 4L + Encoding.UTF8.GetByteCount(target)),
        RawSamples.Table table => table.Columns.Sum(column => 4L + Encoding.UTF8.GetByteCount(column)) + table.Rows.Sum(SizeOf),
        _ => 0,
    };

    /// <summary>The samples in order, with the number of the first of each batch.</summary>
    /// <param name="samples">to cut</param>
    /// <param name="mostRows">in a batch</param>
    public static IEnumerable<(int First, RawSamples Samples)> Of(RawSamples samples, int mostRows = int.MaxValue)
    {
        if (samples is RawSamples.Array array)
        {
            var width = array.Count == 0 ? 0 : array.Values.Length / array.Count;
            var count = Math.Min(mostRows, Math.Max(1, MostBytes / Math.Max(1, width * sizeof(float))));
            for (var first = 0; first == 0 || first < array.Count; first += count)
            {
                yield return (first, Part(array, first, Math.Min(count, array.Count - first)));
            }
            yield break;
        }
        var table = (RawSamples.Table)samples;
        var start = 0;
        while (start == 0 || start < table.Rows.Count)
        {
            var (end, bytes) = (start, 0L);
            while (end < table.Rows.Count && end - start < mostRows && (end == start || bytes + SizeOf(table.Rows[end]) <= MostBytes))
                bytes += SizeOf(table.Rows[end++]);
            yield return (start, Part(table, start, end - start));
            start = Math.Max(end, 1);
        }
    }

    /// <summary>The samples in order, in parts of whole chunks of an evaluation, with the number of the first of each part.</summary>
    /// <param name="samples">to cut</param>
    /// <param name="mostBytes">of a part, about; one chunk in any case</param>
    /// <param name="mostRows">of a part; one chunk in any case</param>
    public static IEnumerable<(int First, RawSamples Samples)> OfChunks(RawSamples samples, long mostBytes, int mostRows)
    {
        var fitting = Math.Min(mostRows, mostBytes * samples.Count / Math.Max(1, BytesOf(samples)));
        var count = (int)Math.Max(1, fitting / EvaluationChunks.Length) * EvaluationChunks.Length;
        for (long first = 0; first == 0 || first < samples.Count; first += count)
            yield return ((int)first, Part(samples, (int)first, (int)Math.Min(count, samples.Count - first)));
    }

    /// <summary>Whether one message takes them all.</summary>
    /// <param name="samples">to send</param>
    /// <param name="mostRows">in a message</param>
    public static bool Fit(RawSamples samples, int mostRows = int.MaxValue) => Of(samples, mostRows).Take(2).Count() < 2;

    /// <summary>A fault in a batch, numbered as in the whole.</summary>
    public static Fault Renumber(Fault fault, int first) => first == 0 ? fault : fault with
    {
        Place = Number().Replace(fault.Place, match => string.Create(CultureInfo.InvariantCulture, $"samples[{int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) + first}]"), 1),
    };

    private static RawSamples Part(RawSamples samples, int first, int count)
    {
        if (samples is RawSamples.Table table)
            return table with { Rows = [.. table.Rows.Skip(first).Take(count)] };
        var array = (RawSamples.Array)samples;
        var width = array.Count == 0 ? 0 : array.Values.Length / array.Count;
        return array with { Values = array.Values.Slice(first * width, count * width), Targets = array.Targets.Count == 0 ? [] : [.. array.Targets.Skip(first).Take(count)] };
    }

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
