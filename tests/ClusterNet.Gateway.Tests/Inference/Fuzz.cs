using System.Globalization;
using System.Text;
using ClusterNet.Cluster.Serving;
using ClusterNet.Data;
using ClusterNet.Gateway.Inference;
using ClusterNet.Gateway.Inference.Examples;
using ClusterNet.Gateway.Inference.SharedMemory;
using CsCheck;

namespace ClusterNet.Gateway.Tests.Inference;

/// <summary>What all hostile inputs are made by and held to.</summary>
internal static class Fuzz
{
    /// <summary>Inputs for each target: a few in every run, as many as <c>CLUSTERNET_TEST_FUZZ</c> says in a long one.</summary>
    public static readonly long Inputs = long.TryParse(Environment.GetEnvironmentVariable("CLUSTERNET_TEST_FUZZ"), CultureInfo.InvariantCulture, out var inputs) ? inputs : 20_000;

    private static readonly ExampleModel[] _examples = [new SumExample("sums", DataType.Int32), new IdentityExample("words"), new SequenceExample("sequence", SequenceRule.Running, TimeProvider.System)];

    /// <summary>Models of arrays and of columns, and examples.</summary>
    public static readonly InputPlan[] Plans = [InputPlan.Of(FakeServing.Version(FakeServing.Arrays)), InputPlan.Of(FakeServing.Version(FakeServing.Columns)), .. _examples.Select(example => InputPlan.Of(example.Version))];

    /// <summary>Bounds that are hit often.</summary>
    public static readonly InferenceSettings Settings = new() { MaxSamples = 1000, MaxTensors = 8 };

    /// <summary>A region <c>r</c> of 96 bytes, read and written by all.</summary>
    public static readonly SharedRegions Memory = MemoryObject.Regions(96);

    // what a request of a kilobyte may cost: the reader's own structures, an exception, and a few bytes for each byte
    private const long MaxAllocated = 256 << 10;

    private static readonly byte[][] _tokens =
    [
        .. ((string[])
        [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "null", "true", "false", "NaN", "-", "1e999", "-0", "1e-400", "18446744073709551616", "9223372036854775807", "-1", "0", "4294967296", "2147483647",
            "\"data\":", "\"shape\":", "\"name\":", "\"datatype\":", "\"inputs\":", "\"outputs\":", "\"parameters\":", "\"binary_data_size\":", "\"classification\":", "\"sequence_id\":", "\"sequence_start\":true,", "\"shared_memory_region\":\"r\",", "\"shared_memory_offset\":", "\"shared_memory_byte_size\":24,", "\"prepared\"", "\"INPUT0\"", "\"INPUT1\"", "\"age\"", "\"BYTES\"",
            "\"FP16\"", "\"INT64\"", "\"BOOL\"", "\\ud800", "\\u0000", "/*", "\uFEFF", "[[[[[[[[[[[[[[[[[[",
        ]).Select(Encoding.UTF8.GetBytes),
        [0xFF], [0xC0, 0x80], [0x00],
    ];

    private static readonly Gen<(int Kind, int Position, byte Value, int Token)[]> _changes =
        Gen.Select(Gen.Int[0, 5], Gen.Int[0, 4095], Gen.Byte, Gen.Int[0, _tokens.Length - 1]).Array[0, 8];

    /// <summary>One of these.</summary>
    public static Gen<T> OneOf<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(index => values[index]);

    /// <summary>Some bytes with a few changes: bits, cuts, repetitions and tokens in the wrong place.</summary>
    public static Gen<byte[]> Changed(params byte[][] seeds) => Gen.Select(Gen.Int[0, seeds.Length - 1], _changes).Select((seed, changes) =>
    {
        var bytes = seeds[seed].ToList();
        foreach (var (kind, position, value, token) in changes)
        {
            if (bytes.Count == 0)
                break;
            var at = position % bytes.Count;
            switch (kind)
            {
                case 0:
                    bytes[at] = value;
                    break;
                case 1:
                    bytes.InsertRange(at, _tokens[token]);
                    break;
                case 2:
                    bytes.RemoveRange(at, Math.Min(value % 16, bytes.Count - at));
                    break;
                case 3:
                    bytes.InsertRange(at, bytes.GetRange(at, Math.Min(value % 64, bytes.Count - at)));
                    break;
                case 4 when value < 32:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                default:
                    bytes[at] ^= (byte)(1 << (value % 8));
                    break;
            }
        }
        return bytes.ToArray();
    });

    /// <summary>Reads, and answers what can be read. Either there is a request that the model takes, or a refusal of the caller's input; nothing else, and no more memory than it is worth.</summary>
    public static void Check(InputPlan plan, Func<InputPlan, InferRequest> read)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            var request = read(plan);
            Assert.InRange(request.Input.Count, 1, Settings.MaxSamples);
            switch (request.Input)
            {
                case ModelInput.Prepared prepared:
                    Assert.True(!prepared.Values.Span.ContainsAnyExceptInRange(float.MinValue, float.MaxValue));
                    break;
                case ModelInput.Raw { Samples: RawSamples.Array array }:
                    Assert.DoesNotContain(array.Values.ToArray(), float.IsInfinity);
                    Assert.Equal(array.Count * plan.Version.Inputs[0].Shape.Skip(1).Aggregate(1L, (product, axis) => product * axis), array.Values.Length);
                    break;
                case ModelInput.Raw { Samples: RawSamples.Table table }:
                    Assert.All(table.Rows, row => Assert.Equal(table.Columns.Count, row.Count));
                    Assert.True(table.Columns.Count == 2 || plan.Version.Id.Model != FakeServing.Columns);
                    break;
            }
            var model = plan.Version.Id.Model;
            var answer = _examples.FirstOrDefault(example => example.Name == model)?.Predict(request.Input, request.Parameters.Sequence) ?? FakeServing.AnswerTo(request.ToPredict(model, null, null, null));
            using var body = new PooledBytes(64);
            AnswerWriter.Fill(body, answer, request, SharedRegions.Place(Memory, OutputTensor.Of(answer, plan.Version, request), request));
        }
        catch (PredictionException refusal)
        {
            // a long run has more sequences than are kept
            if (refusal.Kind != ServingProtocol.FailureKind.Overloaded || plan.Version.Id.Model != "sequence")
                Assert.Equal(ServingProtocol.FailureKind.InvalidInput, refusal.Kind);
            Assert.NotEqual("", refusal.Message);
        }
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MaxAllocated);
    }
}
