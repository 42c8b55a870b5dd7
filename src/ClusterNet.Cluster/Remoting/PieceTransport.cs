using System.Reflection;
using System.Runtime.ExceptionServices;
using Akka.Actor;
using Akka.Configuration;
using Akka.Event;
using Akka.Remote.Transport;
using Google.Protobuf;

namespace ClusterNet.Cluster.Remoting;

/// <summary>
/// Akka.Remote's TCP (or TLS) with messages that may be larger than a frame: a list of many models, data with tens of thousands of columns. What fits a frame travels as it is. What does not is cut into <see cref="Pieces"/> and put together again
/// on the other side, below everything that Akka.Remote knows of messages, so that no actor has to. Frames stay small, and what another thread sends meanwhile, such as the heartbeat of Akka.Remote's own protocol, goes between the pieces; messages wait for those before them.
/// Tensors do not belong here: they have the lane. On the way it sees who connects to whom, which <see cref="Encounters"/> has a say in.
/// </summary>
internal sealed class PieceTransport : Transport
{
    private const string Tcp = "Akka.Remote.Transport.DotNetty.TcpTransport, Akka.Remote";

    private readonly Transport _tcp;
    private readonly PieceRoom _room = new(Pieces.MostBytesHeld);
    private readonly Encounters _encounters = new(TimeProvider.System);
    private readonly ILoggingAdapter _log;

    /// <summary>By Akka.Remote, from its configuration.</summary>
    public PieceTransport(ActorSystem system, Config config)
    {
        (System, Config) = (system, config);
        _log = Logging.GetLogger(system, typeof(PieceTransport));
        try
        {
            // Akka has it made from this name too
            _tcp = (Transport)Activator.CreateInstance(Type.GetType(Tcp, throwOnError: true)!, system, config)!;
        }
        catch (TargetInvocationException exception) when (exception.InnerException is { } reason)
        {
            ExceptionDispatchInfo.Throw(reason);
            throw;
        }
    }

    public override string SchemeIdentifier => _tcp.SchemeIdentifier;

    public override long MaximumPayloadBytes => Math.Max(Pieces.MostBytes, _tcp.MaximumPayloadBytes);

    public override async Task<(Address, TaskCompletionSource<IAssociationEventListener>)> Listen()
    {
        var (address, below) = await _tcp.Listen().ConfigureAwait(false);
        var above = new TaskCompletionSource<IAssociationEventListener>();
        Pass(above, listener => below.TrySetResult(new Listener(this, listener)));
        return (address, above);
    }

    public override bool IsResponsibleFor(Address remote) => _tcp.IsResponsibleFor(remote);

    public override async Task<AssociationHandle> Associate(Address remoteAddress)
    {
        var connection = _encounters.Begin(remoteAddress);
        try
        {
            return new Handle(this, await _tcp.Associate(remoteAddress).ConfigureAwait(false), connection);
        }
        catch
        {
            connection.End();
            throw;
        }
    }

    public override Task<bool> Shutdown() => _tcp.Shutdown();

    public override Task<bool> ManagementCommand(object message) => _tcp.ManagementCommand(message);

    private static void Pass<T>(TaskCompletionSource<T> above, Action<T> below) =>
        above.Task.ContinueWith(task => below(task.Result), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

    private sealed class Listener(PieceTransport transport, IAssociationEventListener above) : IAssociationEventListener
    {
        public void Notify(IAssociationEvent ev) => above.Notify(ev is InboundAssociation inbound ? new InboundAssociation(new Handle(transport, inbound.Association, null)) : ev);
    }

    /// <summary>One connection, which this node has made or the other.</summary>
    private sealed class Handle : AssociationHandle
    {
        private readonly PieceTransport _transport;
        private readonly AssociationHandle _tcp;
        private readonly object _writing = new();
        private readonly bool _isOwn;
        private volatile Encounters.Connection? _connection;

        public Handle(PieceTransport transport, AssociationHandle tcp, Encounters.Connection? own)
            : base(tcp.LocalAddress, tcp.RemoteAddress)
        {
            (_transport, _tcp, _isOwn) = (transport, tcp, own is not null);
            if (own is not null)
                Join(own);
            Pass(ReadHandlerSource, above => tcp.ReadHandlerSource.TrySetResult(new Reader(this, above)));
        }

        public override bool Write(ByteString payload)
        {
            if (_connection?.TrySay(payload) == false)
            {
                Disassociate(Encounters.GivesWay(RemoteAddress).Message, _transport._log);
                return false;
            }
            if (payload.Length <= _transport._tcp.MaximumPayloadBytes)
                return _tcp.Write(payload);
            // two of them would be taken for one
            lock (_writing)
                return Pieces.Of(payload).All(_tcp.Write);
        }

        [Obsolete("as above")]
        public override void Disassociate()
        {
            _connection?.End();
            _tcp.Disassociate();
        }

        private void Join(Encounters.Connection connection)
        {
            connection.Close = Close;
            _connection = connection;
        }

        private void Close(string reason)
        {
            _transport._log.Warning("The connection with {0} is closed: {1}", RemoteAddress, reason);
            Disassociate(reason, _transport._log);
        }

        private sealed class Reader(Handle handle, IHandleEventListener above) : IHandleEventListener
        {
            /// <summary>Of a connection that waits for its turn: its handshake, and its end. Nothing else comes before there was an answer.</summary>
            private const int MostHeld = 4;

            private readonly PieceReader _pieces = new(handle._transport._room);
            private readonly Queue<IHandleEvent> _held = new();
            private volatile bool _isIntroduced;

            public void Notify(IHandleEvent ev)
            {
                if (_isIntroduced || !IsHeld(ev))
                    Pass(ev);
            }

            /// <summary>Looks at the first message, which says who is there. What comes until its turn waits.</summary>
            private bool IsHeld(IHandleEvent ev)
            {
                lock (_held)
                {
                    if (_isIntroduced)
                        return false;
                    if (_held.Count == 0)
                    {
                        var turn = IntroduceAsync(ev);
                        _isIntroduced = turn.IsCompleted;
                        if (_isIntroduced)
                            return false;
                        turn.ContinueWith(_ => Release(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
                    }
                    if (_held.Count < MostHeld || ev is Disassociated)
                        _held.Enqueue(ev);
                    else
                        handle.Close("it says more than its name before it has an answer");
                    return true;
                }
            }

            private Task IntroduceAsync(IHandleEvent ev)
            {
                if (ev is not InboundPayload { Payload: var payload } || Handshake.Of(payload) is not { } who)
                    return Task.CompletedTask;
                if (handle._isOwn)
                {
                    handle._connection!.Settle(who.Uid);
                    return Task.CompletedTask;
                }
                return ArriveAsync(who);
            }

            private async Task ArriveAsync(Handshake who) => handle.Join(await handle._transport._encounters.ArriveAsync(who).ConfigureAwait(false));

            private void Release()
            {
                lock (_held)
                {
                    while (_held.TryDequeue(out var ev))
                        Pass(ev);
                    _isIntroduced = true;
                }
            }

            private void Pass(IHandleEvent ev)
            {
                switch (ev)
                {
                    case InboundPayload { Payload: var payload } when Pieces.IsPiece(payload):
                        Take(payload);
                        break;
                    case Disassociated:
                        handle._connection?.End();
                        _pieces.End();
                        above.Notify(ev);
                        break;
                    default:
                        above.Notify(ev);
                        break;
                }
            }

            private void Take(ByteString piece)
            {
                try
                {
                    if (_pieces.Take(piece) is { } whole)
                        above.Notify(new InboundPayload(whole));
                }
                catch (InvalidDataException exception)
                {
                    _pieces.End();
                    handle.Close(exception.Message);
                }
            }
        }
    }
}
