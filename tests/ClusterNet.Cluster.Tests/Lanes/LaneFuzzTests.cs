using System.Globalization;
using Akka.Actor;
using ClusterNet.Cluster.Lanes;
using ClusterNet.Cluster.Serialization;
using CsCheck;

namespace ClusterNet.Cluster.Tests.Lanes;

/// <summary>Whatever a peer writes, a reader of frames reads it or says that no node of the cluster writes that; nothing else happens, and nothing stays held. The same as over a connection, many times faster.</summary>
[Trait("Category", "Fuzz")]
public sealed class LaneFuzzTests
{
    /// <summary>A few in every run, as many as <c>CLUSTERNET_TEST_FUZZ</c> says in a long one.</summary>
    private static readonly long _inputs = long.TryParse(Environment.GetEnvironmentVariable("CLUSTERNET_TEST_FUZZ"), CultureInfo.InvariantCulture, out var inputs) ? inputs : 20_000;

    private static readonly LaneSettings _settings = new() { MaxFrameBytes = 1 << 16, ReceiveBytes = 1 << 20 };

    [Fact]
    public async Task Frames_are_read_or_refused()
    {
        await using var node = new LaneTestNode(_settings);
        var releasing = node.System.ActorOf(Props.Create(() => new Releasing()), "shard");
        var here = releasing.Path.ToSerializationFormatWithAddress(node.Address);
        byte[][] seeds =
        [
            Stranger.Frame(here),
            Stranger.Frame(here, sender: here),
            [.. Stranger.Frame(here, words: 40), .. Stranger.Frame(here, words: 0)],
            Stranger.Frame(here + "x"),
            Stranger.Frame(here, lengths: [uint.MaxValue]),
            Stranger.Frame(here, lengths: [1, 2]),
            Stranger.Frame(here, manifest: "P:pulled"),
            Stranger.Placed(here, 0),
            [.. Stranger.Placed(here, 1), .. Stranger.Placed(here, SharedRing.SlotCount - 1, SharedRing.SlotBytes / sizeof(float))],
            [],
        ];
        using var ring = new SharedRing(SealedMemory.Create(SharedRing.FileBytes));
        var memory = new ReceiveMemory(_settings.ReceiveBytes, 0);
        var changes = Gen.Select(Gen.Int[0, 4], Gen.Int[0, 4095], Gen.Byte).Array[0, 6];
        await Task.Run(() => Gen.Select(Gen.Int[0, seeds.Length - 1], changes).Sample(
            (seed, made) =>
            {
                // every other peer shares no memory
                var source = new Bytes(Changed(seeds[seed], made), made.Length % 2 == 0 ? ring : null);
                try
                {
                    new LaneReader(source, node.System, _settings, memory, new LaneCounters(), () => { }).Run();
                }
                catch (Exception exception) when (exception is LaneViolationException or EndOfStreamException)
                {
                    // refused, or cut short: the connection ends
                }
            },
            iter: _inputs,
            threads: 1));
        node.AwaitAssert(() => Assert.Equal((0, 0), (memory.Out, ring.Lent)));
    }

    private static byte[] Changed(byte[] seed, (int Kind, int Position, byte Value)[] changes)
    {
        var bytes = seed.ToList();
        foreach (var (kind, position, value) in changes)
        {
            // most of what is decided stands at the front
            var at = bytes.Count == 0 ? 0 : (value % 2 == 0 ? position % Math.Min(bytes.Count, 24) : position % bytes.Count);
            if (kind == 0 || bytes.Count == 0)
                bytes.Insert(at, value);
            else if (kind == 1)
                bytes.RemoveRange(at, Math.Min(value % 20, bytes.Count - at));
            else if (kind == 2)
                bytes.InsertRange(at, bytes.GetRange(at, Math.Min(value % 64, bytes.Count - at)));
            else
                bytes[at] = kind == 3 ? value : (byte)(bytes[at] ^ (1 << (value % 8)));
        }
        return [.. bytes];
    }

    /// <summary>A connection whose other side wrote all that it had, and ended.</summary>
    private sealed class Bytes(byte[] bytes, SharedRing? ring) : ILaneSource
    {
        private int _at;

        public bool IsClosed => false;

        public SharedRing? Ring => ring;

        public int ReadByte() => _at == bytes.Length ? -1 : bytes[_at++];

        public void Read(Span<byte> into)
        {
            if (into.Length > bytes.Length - _at)
                throw new EndOfStreamException();
            bytes.AsSpan(_at, into.Length).CopyTo(into);
            _at += into.Length;
        }

        public void SetPatience(TimeSpan patience)
        {
        }

        public void Rested()
        {
        }
    }

    /// <summary>Gives back what messages bring.</summary>
    private sealed class Releasing : ReceiveActor
    {
        public Releasing() => ReceiveAny(message =>
        {
            if (SerializationConfiguration.LaneManifests.Values.FirstOrDefault(codec => codec.Type == message.GetType()) is not { } known)
                return;
            foreach (var tensor in known.Tensors(message))
                tensor.Release();
        });
    }
}
