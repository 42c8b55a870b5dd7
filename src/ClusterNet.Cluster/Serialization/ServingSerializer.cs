using Akka.Actor;
using ClusterNet.Cluster.Serving;
using ClusterNet.Data;
using Google.Protobuf;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Serialization;

/// <summary>Messages of inference actors. See serving.proto.</summary>
/// <param name="system">resolves actor references</param>
internal sealed partial class ServingSerializer(ExtendedActorSystem system) : ProtocolSerializer(system, Table, Id)
{
    /// <summary>Never changes.</summary>
    public const int Id = 7105;

    private static readonly WireEnum<FailureKind, Wire.ServingFailed.Types.Kind> Kinds = new();

    /// <summary>The messages.</summary>
    public static readonly CodecTable Table = Routed(new CodecTable("serving"))
        .Add<Queries.Predict, Wire.ServingSamples>(
            "S:predict",
            m => new Wire.ServingSamples { Version = m.Version.ToWire(), Samples = ToWire(m.Samples) }.Traced(m.Trace),
            w => new Queries.Predict(w.Version.FromWire(), FromWire(w.Samples)) { Trace = w.TraceOf() })
        .Add<Queries.Evaluate, Wire.ServingSamples>(
            "S:evaluate",
            m => new Wire.ServingSamples { Version = m.Version.ToWire(), Samples = ToWire(m.Samples), WantsSums = m.WantsSums }.Traced(m.Trace),
            w => new Queries.Evaluate(w.Version.FromWire(), FromWire(w.Samples)) { WantsSums = w.WantsSums, Trace = w.TraceOf() })
        .Add<Prediction, Wire.ServingPrediction>(
            "S:prediction",
            ToWire,
            FromWire)
        .Add<Replies.EvaluationDone, Wire.ServingEvaluation>(
            "S:evaluated",
            m =>
            {
                var wire = new Wire.ServingEvaluation { Version = m.Version.ToWire(), Sums = UnsafeByteOperations.UnsafeWrap(m.Sums) };
                wire.Metrics.Fill(m.Metrics);
                return wire;
            },
            w => new Replies.EvaluationDone(w.Version.FromWire(), w.Metrics.FromWire()) { Sums = w.Sums.Memory })
        .Add<Replies.PredictFailed, Wire.ServingFailed>(
            "S:failed",
            m =>
            {
                var wire = new Wire.ServingFailed { Version = m.Version.ToWire(), Kind = Kinds.ToWire(m.Kind), Faults = { m.Faults.Select(WireParts.ToWire) } };
                if (m.RetryAfter is { } retryAfter)
                    wire.RetryAfterTicks = retryAfter.Ticks;
                return wire;
            },
            w => new Replies.PredictFailed(w.Version.FromWire(), Kinds.FromWire(w.Kind), [.. w.Faults.Select(WireParts.FromWire)])
            {
                RetryAfter = w.HasRetryAfterTicks ? new TimeSpan(w.RetryAfterTicks) : null,
            });

    private static Wire.Samples ToWire(RawSamples samples)
    {
        switch (samples)
        {
            case RawSamples.Table table:
                var wire = new Wire.Samples.Types.Table { Columns = { table.Columns } };
                foreach (var row in table.Rows)
                {
                    wire.RowLengths.Add(row.Count);
                    foreach (var cell in row)
                    {
                        if (cell is null)
                            wire.Missing.Add(wire.Cells.Count);
                        wire.Cells.Add(cell ?? "");
                    }
                }
                return new Wire.Samples { Table = wire };
            case RawSamples.Array array:
                return new Wire.Samples
                {
                    Dense = new Wire.Samples.Types.Dense { Shape = { array.Shape }, Values = LittleEndian.Field(array.Values.Span), Targets = { array.Targets } },
                };
            default:
                throw new ArgumentException($"{samples?.GetType().Name ?? "null"} has no form on the wire", nameof(samples));
        }
    }

    private static RawSamples FromWire(Wire.Samples samples) => samples.KindCase switch
    {
        Wire.Samples.KindOneofCase.Table => FromWire(samples.Table),
        Wire.Samples.KindOneofCase.Dense => new RawSamples.Array(
            [.. samples.Dense.Shape], LittleEndian.Read(samples.Dense.Values.Span), [.. samples.Dense.Targets]),
        _ => throw new FormatException("samples of a kind that this version does not know"),
    };

    private static RawSamples.Table FromWire(Wire.Samples.Types.Table table)
    {
        var cells = new string?[table.Cells.Count];
        table.Cells.CopyTo(cells!, 0);
        foreach (var position in table.Missing)
        {
            if ((uint)position >= (uint)cells.Length)
                throw new FormatException($"cell {position} of {cells.Length} is told to be missing");
            cells[position] = null;
        }
        var rows = new IReadOnlyList<string?>[table.RowLengths.Count];
        var start = 0;
        for (var i = 0; i < rows.Length; i++)
        {
            var length = table.RowLengths[i];
            if (length < 0 || length > cells.Length - start)
                throw new FormatException($"row {i} is told to have {length} cells where {cells.Length - start} are left");
            rows[i] = new ArraySegment<string?>(cells, start, length);
            start += length;
        }
        return start == cells.Length ? new RawSamples.Table([.. table.Columns], rows) : throw new FormatException($"{cells.Length - start} cells are in no row");
    }
}
