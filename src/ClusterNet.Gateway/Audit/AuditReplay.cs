using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using ClusterNet.Cluster.Serving;
using ClusterNet.Gateway.Store;

namespace ClusterNet.Gateway.Audit;

/// <summary>What computing predictions again came to.</summary>
/// <param name="Same">to the same bits</param>
/// <param name="WithoutInput">whose input was not kept</param>
/// <param name="Gone">whose version can't be asked any more, with other weights than then included</param>
/// <param name="Different">not to the same bits</param>
/// <param name="Faults">the first hundred of those</param>
public sealed record ReplayReport(long Same, long WithoutInput, long Gone, long Different, IReadOnlyList<AuditFault> Faults);

/// <summary>Computes the predictions of the audit log again, each by the version that answered, and compares bits.</summary>
public static class AuditReplay
{
    private const int MaxFaults = 100;

    /// <summary>Asks a model again.</summary>
    /// <param name="model">its name</param>
    /// <param name="version">the version</param>
    /// <param name="weights">SHA-256 of the weights that it had</param>
    /// <param name="input">what was asked</param>
    /// <param name="cancel">gives up</param>
    /// <returns>the outputs; null where that version can't be asked any more</returns>
    public delegate Task<ReadOnlyMemory<float>?> Again(string model, int version, string weights, ModelInput input, CancellationToken cancel);

    /// <summary>Goes through all predictions that were answered.</summary>
    /// <param name="store">where the log is</param>
    /// <param name="again">asks the model</param>
    /// <param name="cancel">gives up</param>
    public static async Task<ReplayReport> RunAsync(GatewayStore store, Again again, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(again);
        long same = 0, withoutInput = 0, gone = 0, different = 0;
        var faults = new List<AuditFault>();
        foreach (var record in AuditTable.Read(store))
        {
            if (record.Entry is not { Action: AuditEntry.Predict, Version: { } version, Weights: { } weights, Output: { } output } entry)
                continue;
            if (entry.InputData is not { } bytes)
            {
                withoutInput++;
                continue;
            }
            if (!SHA256.HashData(bytes.Span).AsSpan().SequenceEqual(entry.Input.GetValueOrDefault().Span) || Read(bytes) is not { } input)
            {
                Add(record, "the input that is kept is not the one that was hashed");
                continue;
            }
            if (await again(entry.Subject, (int)version, weights, input, cancel).ConfigureAwait(false) is not { } outputs)
            {
                gone++;
                continue;
            }
            var writer = new ArrayBufferWriter<byte>(Math.Max(4, outputs.Length * sizeof(float)));
            InputBytes.Floats(writer, outputs.Span);
            if (SHA256.HashData(writer.WrittenSpan).AsSpan().SequenceEqual(output.Span))
                same++;
            else
                Add(record, $"{entry.Subject}:{version} now answers other bits{DistanceOf(entry.OutputData, outputs.Span)}");
        }
        return new ReplayReport(same, withoutInput, gone, different, faults);

        void Add(AuditRecord record, string message)
        {
            different++;
            if (faults.Count < MaxFaults)
                faults.Add(new AuditFault(record.Chain, record.Sequence, message));
        }
    }

    /// <summary>How far apart they are, where the outputs were kept: an auditor can tell rounding from another answer.</summary>
    private static string DistanceOf(ReadOnlyMemory<byte>? kept, ReadOnlySpan<float> outputs)
    {
        if (kept is not { } bytes)
            return "";
        if (bytes.Length != outputs.Length * sizeof(float))
            return string.Create(CultureInfo.InvariantCulture, $", {outputs.Length} values and not {bytes.Length / sizeof(float)}");
        var most = 0.0;
        for (var i = 0; i < outputs.Length; i++)
        {
            var distance = Math.Abs((double)BinaryPrimitives.ReadSingleLittleEndian(bytes.Span[(i * sizeof(float))..]) - outputs[i]);
            most = Math.Max(most, distance);
        }
        return string.Create(CultureInfo.InvariantCulture, $", by at most {most:0.0e0}");
    }

    private static ModelInput? Read(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            return InputBytes.Read(bytes.Span);
        }
        catch (FormatException)
        {
            return null;
        }
    }
}
