using System.Globalization;
using System.Runtime.Serialization;
using System.Security.Cryptography;
using Akka.Actor;
using Akka.Serialization;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Cluster.Serving;
using ClusterNet.Data;
using static ClusterNet.Cluster.Access.AccessProtocol;

namespace ClusterNet.Cluster.Access;

/// <summary>Sends one request to the access actor of another node in pieces, each when the one before has come. The answer to the request goes straight to who asked. Lives for one request.</summary>
internal sealed class PieceSenderActor : ReceiveActor
{
    /// <summary>The most bytes of a piece: well within the frames of Akka.Remote, whose heartbeats have to pass as well.</summary>
    public const int PieceBytes = SampleBatches.MostBytes;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly string _request = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
    private readonly Action<object, IActorRef> _send;
    private ReadOnlyMemory<byte> _bytes;
    private int _serializer;
    private string _manifest = "";
    private IActorRef _asker = ActorRefs.Nobody;

    public PieceSenderActor(Action<object, IActorRef> send)
    {
        _send = send;
        Receive<Replies.PieceTaken>(taken => taken.Request == _request, taken =>
        {
            // a large request may be long on its way
            _asker.Tell(new Replies.AtWork());
            Send(taken.Index + 1);
        });
        Receive<ReceiveTimeout>(_ => End(new Replies.Unavailable(string.Create(CultureInfo.InvariantCulture, $"the node that was asked takes no more of the request since {Patience.TotalSeconds:0} s; ask again"))));
        Receive<Replies.Unavailable>(End);
        Receive<ServingProtocol.IVersionMessage>(Begin);
    }

    private int Count => (_bytes.Length + PieceBytes - 1) / PieceBytes;

    /// <summary>Whether a message between nodes may have no room for it.</summary>
    public static bool IsNeededFor(object message) => message switch
    {
        ServingProtocol.Queries.Predict predict => IsLarge(predict.Samples),
        ServingProtocol.Queries.Evaluate evaluate => IsLarge(evaluate.Samples),
        _ => false,
    };

    /// <summary>Told the request by who asks.</summary>
    /// <param name="send">sends a piece to the access actor of a node, the same for all, in the name of an actor</param>
    public static Props PropsFor(Action<object, IActorRef> send) => Props.Create(() => new PieceSenderActor(send));

    private void Begin(ServingProtocol.IVersionMessage message)
    {
        _asker = Sender;
        try
        {
            var serializer = (SerializerWithStringManifest)Context.System.Serialization.FindSerializerFor(message);
            (_serializer, _manifest, _bytes) = (serializer.Identifier, serializer.Manifest(message), serializer.ToBinary(message));
        }
        catch (SerializationException exception)
        {
            End(new Status.Failure(new ClusterException($"the samples are more than a cluster is asked at once, {WireMessage.MaxBytes >> 20} MB in all: give them in parts ({exception.Message})", exception)));
            return;
        }
        Send(0);
    }

    private static bool IsLarge(RawSamples samples) => SampleBatches.BytesOf(samples) > PieceBytes;

    private void Send(int index)
    {
        if (index >= Count)
            return;
        var start = index * PieceBytes;
        var piece = new Commands.Piece(_request, index, Count, _serializer, _manifest, _bytes.Slice(start, Math.Min(PieceBytes, _bytes.Length - start)));
        var isLast = index == Count - 1;
        _send(piece, isLast ? _asker : Self);
        if (isLast)
            Context.Stop(Self);
        else
            Context.SetReceiveTimeout(Patience);
    }

    private void End(object reason)
    {
        _asker.Tell(reason);
        Context.Stop(Self);
    }
}
