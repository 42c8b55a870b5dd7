using System.Runtime.Serialization;
using System.Text;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;
using CsCheck;
using Google.Protobuf;
using Wire = ClusterNet.Cluster.Serialization.Wire;

namespace ClusterNet.Cluster.Tests.Serialization;

/// <summary>Whatever bytes come, they become a message or a <see cref="SerializationException"/>, and cost no more memory than their size explains.</summary>
public sealed class ForeignBytesTests(SerializationFixture fixture) : IClassFixture<SerializationFixture>
{
    // a plan of shards and the stack trace of an error are the largest things that a few bytes can ask for
    private const long BearableBytes = 4 << 20;

    [Fact]
    public void Damaged_messages_are_read_or_refused()
    {
        var messages = fixture.Samples.ForAkka()
            .Select(message => (Serializer: fixture.SerializerOf(message), Manifest: fixture.SerializerOf(message).Manifest(message), Bytes: fixture.SerializerOf(message).ToBinary(message)))
            .ToArray();
        Gen.Select(Gen.Int[0, messages.Length - 1], Gen.Int[0, int.MaxValue], Gen.Select(Gen.Int[0, int.MaxValue], Gen.Byte).Array[0, 8]).Sample(
            (index, cut, changes) =>
            {
                var (serializer, manifest, whole) = messages[index];
                // half of them are cut short
                var bytes = whole[..(cut % 2 == 0 ? whole.Length : cut / 2 % (whole.Length + 1))];
                foreach (var (position, value) in bytes.Length == 0 ? [] : changes)
                    bytes[position % bytes.Length] = value;
                ReadOrRefuse(serializer, bytes, manifest);
            },
            iter: 20_000);
    }

    [Fact]
    public void Noise_is_read_or_refused()
    {
        var manifests = fixture.Samples.ForAkka().Select(message => (Serializer: fixture.SerializerOf(message), Manifest: fixture.SerializerOf(message).Manifest(message))).ToArray();
        Gen.Select(Gen.Int[0, manifests.Length - 1], Gen.Byte.Array[0, 100]).Sample(
            (index, bytes) => ReadOrRefuse(manifests[index].Serializer, bytes, manifests[index].Manifest), iter: 5_000);
    }

    [Fact]
    public void An_unknown_manifest_says_that_the_sender_is_newer() =>
        Refused(() => fixture.System.Serialization.Deserialize([], ParameterSerializer.Id, "P:brand-new"), "'P:brand-new' is not a manifest of the parameter protocol", "newer version");

    [Fact]
    public void A_missing_field_is_named() => Refused(
        () => Read(TrainingSerializer.Id, "T:generation", new Wire.JobGenerationOpened { Generation = 2, Reason = "r", At = new Wire.Moment { UtcTicks = 1 } }),
        "Moment.offset_minutes is missing");

    [Fact]
    public void An_empty_message_is_not_a_message_of_zeros()
    {
        foreach (var manifest in new[] { "P:open", "P:close", "P:steps" })
            Refused(() => fixture.System.Serialization.Deserialize([], ParameterSerializer.Id, manifest), "shard is missing");
    }

    [Fact]
    public void A_field_that_a_newer_sender_added_is_passed_over()
    {
        byte[] unknown = [0xFA, 0x3E, 0x01, 0x2A];
        var bytes = new Wire.ShardClose { Shard = AShard(), Generation = 4, DeleteCheckpoints = true }.ToByteArray();
        Assert.Equal(
            new ParameterProtocol.Commands.Close(new ShardId(new JobId("j"), 0), new Generation(4), true),
            fixture.System.Serialization.Deserialize([.. bytes, .. unknown], ParameterSerializer.Id, "P:close"));
    }

    [Fact]
    public void A_number_that_is_no_member_is_refused() => Refused(
        () => Read(ParameterSerializer.Id, "P:refused", new Wire.ShardRefused { Shard = AShard(), Generation = 1, Step = 1, Reason = (Wire.ShardRefused.Types.Reason)77 }),
        "77 is not a RefusalReason that this version knows");

    [Fact]
    public void An_id_outside_of_its_alphabet_is_refused() =>
        Refused(() => Read(TrainingSerializer.Id, "T:cancel", new Wire.JobOnly { Job = "../etc" }), "'../etc' is not a job id");

    [Fact]
    public void What_is_no_path_of_an_actor_is_refused()
    {
        var message = new Wire.ShardMeet { Shard = AShard(), Generation = 1, Shards = { "not a path" } };
        Refused(() => Read(ParameterSerializer.Id, "P:meet", message), "'not a path' is not the path of an actor");
    }

    [Fact]
    public void Half_a_number_is_refused()
    {
        var message = new Wire.ServingPrediction { Version = new Wire.Version { Model = "m", Number = 1 }, Outputs = ByteString.CopyFrom(1, 2, 3) };
        Refused(() => Read(ServingSerializer.Id, "S:prediction", message), "3 bytes are not a whole number of float32 values");
    }

    [Fact]
    public void More_shards_or_parameters_than_there_can_be_are_refused()
    {
        var training = JobSpecJson.Serialize(JobSpecs.Plain.Training);
        Refused(() => Read(ParameterSerializer.Id, "P:setup", SetupOf([1024], int.MaxValue)), "2147483647 shards, the most is 65536");
        Refused(() => Read(ParameterSerializer.Id, "P:setup", SetupOf([1 << 20, 1 << 20], 1)), "overflow");
        Refused(() => Read(ParameterSerializer.Id, "P:setup", SetupOf([], 1, "{}")), "no stored training");

        Wire.ShardOpen.Types.Setup SetupOf(int[] shape, int shards, string? spec = null) => new()
        {
            Training = spec ?? training,
            TotalSteps = 1,
            Layout = new Wire.Layout { Parameters = { new Wire.Layout.Types.Parameter { Name = "w", Shape = { shape } } } },
            Shards = shards,
            StepsPerEpoch = 1,
        };
    }

    [Fact]
    public void Cells_that_fit_in_no_row_are_refused()
    {
        Refused(() => Table(new Wire.Samples.Types.Table { Cells = { "a" }, RowLengths = { 2 } }), "row 0 is told to have 2 cells where 1 are left");
        Refused(() => Table(new Wire.Samples.Types.Table { Cells = { "a" } }), "1 cells are in no row");
        Refused(() => Table(new Wire.Samples.Types.Table { Cells = { "a" }, RowLengths = { 1 }, Missing = { 1 } }), "cell 1 of 1 is told to be missing");

        object Table(Wire.Samples.Types.Table table) => Read(
            ServingSerializer.Id, "S:predict", new Wire.ServingSamples { Version = new Wire.Version { Model = "m", Number = 1 }, Samples = new Wire.Samples { Table = table } });
    }

    [Fact]
    public void A_message_beyond_the_bound_is_refused_on_both_sides()
    {
        Refused(() => ReadBounded(TrainingSerializer.Id, new byte[WireMessage.MaxBytes + 1], "T:submit"), "the most is");
        Refused(() => fixture.RoundTrip(new ServingProtocol.Queries.Predict(new ModelVersionId("m", 1), new RawSamples.Array([1], new float[WireMessage.MaxBytes / 4], []))), "the most is");
    }

    [Fact]
    public void What_no_message_can_hold_is_refused_where_it_is_written()
    {
        Refused(() => fixture.RoundTrip(new TrainingProtocol.Commands.Cancel(default)), "Cancel (T:cancel) can't be written");
        Refused(() => fixture.RoundTrip(new ParameterProtocol.Commands.Meet(new ShardId(new JobId("j"), 0), Generation.None, [null!])), "an actor reference is null");
    }

    [Fact]
    public void Any_text_and_any_number_come_back() => Gen.Select(Text, Gen.Long.Select(BitConverter.Int64BitsToDouble), Gen.Long).Sample((text, number, whole) =>
    {
        var epoch = new EpochRecord(whole, ~whole, number, new Dictionary<string, double> { [text] = number }, true);
        StructuralComparer.AssertSame(epoch, fixture.RoundTrip(epoch));
    });

    [Fact]
    public void Any_table_comes_back() => Gen.Select(Text.Array[0, 5], Gen.OneOf(Text.Select(text => (string?)text), Gen.Const((string?)null)).Array[0, 5].Array[0, 6]).Sample(
        (columns, rows) =>
        {
            var message = new ServingProtocol.Queries.Predict(new ModelVersionId("m", 1), new RawSamples.Table(columns, rows));
            StructuralComparer.AssertSame(message, fixture.RoundTrip(message));
        });

    // every scalar value of Unicode; half a surrogate pair is no text
    private static readonly Gen<string> Text = Gen.Int[0, 0x10F7FF].Select(value => new Rune(value < 0xD800 ? value : value + 0x800).ToString()).Array[0, 20].Select(string.Concat);

    private static Wire.Shard AShard() => new() { Job = "j", Index = 0 };

    private static void Refused(Func<object> read, params string[] parts)
    {
        var error = Assert.Throws<SerializationException>(read);
        foreach (var part in parts)
            Assert.Contains(part, error.Message, StringComparison.Ordinal);
    }

    private static void ReadOrRefuse(Akka.Serialization.SerializerWithStringManifest serializer, byte[] bytes, string manifest)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            Assert.NotNull(serializer.FromBinary(bytes, manifest));
        }
        catch (SerializationException)
        {
            // refused, as it may be
        }
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, BearableBytes);
    }

    private object Read(int serializer, string manifest, IMessage message) => fixture.System.Serialization.Deserialize(message.ToByteArray(), serializer, manifest);

    private object ReadBounded(int serializer, byte[] bytes, string manifest)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            return fixture.System.Serialization.Deserialize(bytes, serializer, manifest);
        }
        finally
        {
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, BearableBytes);
        }
    }
}
