using System.Buffers.Binary;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Akka.Actor;
using Akka.Actor.Setup;
using Akka.Cluster.Tools.Client;
using Akka.Cluster.Tools.PublishSubscribe;
using Akka.Configuration;
using ClusterNet.Cluster.Remoting;
using ClusterNet.Cluster.Serialization.Wire;
using Google.Protobuf;

namespace ClusterNet.Client.Messages;

/// <summary>
/// By message to the routers of the cluster's nodes, through Akka's cluster client: it finds another node when the one it speaks to is gone. More samples than a megabyte of them go as several
/// messages, to one version.
/// </summary>
internal sealed class ClusterTransport : ITransport
{
    private const string SystemName = "clusternet";
    private const string RouterPath = "/user/serving";

    /// <summary>Of the samples in a message, where there are several: one of them may have as many as any message.</summary>
    private const int MostBytes = 900_000;
    private const int MostBytesOfOne = Pieces.MostBytes - (1 << 20);

    /// <summary>Answers have to fit, too: so many numbers of a thousand classes do.</summary>
    private const int MostSamples = 200;

    private static readonly TimeSpan _grace = TimeSpan.FromMilliseconds(500);
    private readonly Contact[] _contacts;
    private readonly ClientTls? _tls;
    private readonly TimeSpan _silence;
    private readonly Lock _lock = new();
    private (ActorSystem System, Askers Askers)? _road;
    private bool _isDisposed;

    public ClusterTransport(Contact[] contacts, ClientTls? tls, TimeSpan silence) => (_contacts, _tls, _silence) = (contacts, tls, silence);

    public string Name => "message";

    public async Task<Prediction> PredictAsync(string model, Samples samples, PredictOptions options, TimeSpan left, CancellationToken cancel)
    {
        var watch = Stopwatch.StartNew();
        Prediction? whole = null;
        var outputs = new List<float>();
        foreach (var part in PartsOf(samples))
        {
            var version = whole is null ? options.Version : whole.Version.ToString(System.Globalization.CultureInfo.InvariantCulture);
            var answer = await AskAsync(RequestOf(model, part, options, version), left - watch.Elapsed, cancel).ConfigureAwait(false);
            outputs.AddRange(answer.Outputs);
            whole ??= answer;
        }
        return whole! with { Outputs = outputs };
    }

    public async ValueTask DisposeAsync()
    {
        (ActorSystem System, Askers Askers)? road;
        lock (_lock)
            (road, _isDisposed) = (_road, true);
        if (road is { } made)
            await made.System.Terminate().ConfigureAwait(false);
    }

    private async Task<Prediction> AskAsync(ServingRequest request, TimeSpan left, CancellationToken cancel)
    {
        if (left <= TimeSpan.Zero)
            throw Late();
        request.TimeoutTicks = left.Ticks;
        if (Activity.Current is { IdFormat: ActivityIdFormat.W3C, Id: { } trace })
            request.Trace = trace;
        if (request.CalculateSize() > MostBytesOfOne)
            throw new PredictionFailedException(FailureKind.InvalidInput, $"samples: one of them takes more than {MostBytesOfOne} bytes, which no message does; ask by gRPC of a gateway whose http.max-body-bytes allows it");
        var isLast = left + _grace <= _silence;
        try
        {
            return await Road().Askers.AskAsync(ToRouter(request), isLast ? left + _grace : _silence, cancel).ConfigureAwait(false) switch
            {
                ServingServed served => Read(served),
                ServingRefused refused => throw Read(refused),
                var other => throw new PredictionFailedException(FailureKind.Failed, $"a node answered {other.GetType().Name}: it is of another version"),
            };
        }
        catch (InvalidOperationException error) when (error is not ObjectDisposedException)
        {
            throw new PredictionFailedException(FailureKind.Unavailable, $"the connection was closed by a node ({string.Join(", ", (IEnumerable<Contact>)_contacts)}); see that both sides' certificates are of authorities that the other one knows", inner: error);
        }
        catch (TimeoutException error)
        {
            throw isLast ? Late(error) : new PredictionFailedException(FailureKind.Unavailable, $"no answer from any node ({string.Join(", ", (IEnumerable<Contact>)_contacts)}) within {_silence.TotalSeconds:0.#} s", inner: error);
        }
    }

    private static ClusterClient.Send ToRouter(IMessage message) => new(RouterPath, message, localAffinity: true);

    private PredictionFailedException Late(Exception? inner = null) =>
        new(FailureKind.DeadlineExceeded, $"the request was not answered within its time; see that nodes ({string.Join(", ", (IEnumerable<Contact>)_contacts)}) run and can reach this program, or give it more", inner: inner);

    private static Prediction Read(ServingServed served)
    {
        var prediction = served.Prediction;
        var bytes = prediction.Outputs.Span;
        var values = new float[bytes.Length / sizeof(float)];
        for (var i = 0; i < values.Length; i++)
            values[i] = BinaryPrimitives.ReadSingleLittleEndian(bytes[(i * sizeof(float))..]);
        return new Prediction(prediction.Version.Model, prediction.Version.Number, [.. prediction.Classes], values, served.WeightsSha256);
    }

    private static PredictionFailedException Read(ServingRefused refused) => new(
        refused.Kind switch
        {
            ServingFailed.Types.Kind.InvalidInput => FailureKind.InvalidInput,
            ServingFailed.Types.Kind.UnknownModel => FailureKind.UnknownModel,
            ServingFailed.Types.Kind.Overloaded => FailureKind.Overloaded,
            ServingFailed.Types.Kind.DeadlineExceeded => FailureKind.DeadlineExceeded,
            ServingFailed.Types.Kind.Unavailable or ServingFailed.Types.Kind.LoadFailed => FailureKind.Unavailable,
            _ => FailureKind.Failed,
        },
        string.Join("; ", refused.Faults.Select(fault => fault.Place.Length == 0 ? fault.Message : $"{fault.Place}: {fault.Message}")),
        refused.HasRetryAfterTicks ? new TimeSpan(refused.RetryAfterTicks) : null);

    private static ServingRequest RequestOf(string model, ServingInput input, PredictOptions options, string? version)
    {
        var request = new ServingRequest { Model = model, Input = input, Priority = options.Priority };
        if (version is not null)
            request.Version = version;
        if (options.Key is { } key)
            request.Key = key;
        return request;
    }

    /// <summary>Parts that a message takes.</summary>
    private static IEnumerable<ServingInput> PartsOf(Samples samples)
    {
        for (var first = 0; first < samples.Count;)
        {
            var (count, bytes) = (0, 0);
            while (first + count < samples.Count && count < MostSamples)
            {
                bytes += BytesOf(samples, first + count);
                if (count > 0 && bytes > MostBytes)
                    break;
                count++;
            }
            yield return InputOf(samples, first, count);
            first += count;
        }
    }

    private static int BytesOf(Samples samples, int sample) => samples switch
    {
        Samples.TableSamples table => table.Rows[sample].Sum(cell => 8 + (3 * (cell?.Length ?? 0))),
        Samples.ArraySamples array => array.Values.Length / array.Count * sizeof(float),
        _ => 0,
    };

    private static ServingInput InputOf(Samples samples, int first, int count)
    {
        switch (samples)
        {
            case Samples.TableSamples table:
                var cells = new Cluster.Serialization.Wire.Samples.Types.Table { Columns = { table.Columns } };
                foreach (var row in table.Rows.Skip(first).Take(count))
                {
                    cells.RowLengths.Add(row.Length);
                    foreach (var cell in row)
                    {
                        if (cell is null)
                            cells.Missing.Add(cells.Cells.Count);
                        cells.Cells.Add(cell ?? "");
                    }
                }
                return new ServingInput { Raw = new Cluster.Serialization.Wire.Samples { Table = cells } };
            case Samples.ArraySamples array:
                var width = array.Values.Length / array.Count;
                var values = Little(array.Values.Span.Slice(first * width, count * width));
                return array.IsPrepared
                    ? new ServingInput { Prepared = new ServingInput.Types.Prepared { Shape = { array.Shape }, Values = values } }
                    : new ServingInput { Raw = new Cluster.Serialization.Wire.Samples { Dense = new Cluster.Serialization.Wire.Samples.Types.Dense { Shape = { array.Shape }, Values = values } } };
            default:
                throw new ArgumentException(samples.GetType().Name);
        }
    }

    private static ByteString Little(ReadOnlySpan<float> values)
    {
        if (BitConverter.IsLittleEndian)
            return ByteString.CopyFrom(MemoryMarshal.AsBytes(values));
        var bytes = new byte[values.Length * sizeof(float)];
        for (var i = 0; i < values.Length; i++)
            BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), values[i]);
        return UnsafeByteOperations.UnsafeWrap(bytes);
    }

    /// <summary>Made by the first request; what goes wrong with it is tried again by the next. Akka ends a system whose TLS a node refused: then it is made anew.</summary>
    private (ActorSystem System, Askers Askers) Road()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_road is not { } road || road.System.WhenTerminated.IsCompleted)
                _road = road = Connect();
            return road;
        }
    }

    private (ActorSystem System, Askers Askers) Connect()
    {
        Setup[] setups = [BootstrapSetup.Create().WithConfig(Configuration(_contacts[0].OwnAddress(), _tls is not null)), .. _tls is null ? [] : new Setup[] { _tls.Setup() }];
        var system = ActorSystem.Create("clusternet-client", ActorSystemSetup.Create(setups));
        var protocol = _tls is null ? "akka.tcp" : "akka.ssl.tcp";
        var receptionists = _contacts.Select(contact => (ActorPath)(new RootActorPath(new Address(protocol, SystemName, contact.Host, contact.Port)) / "system" / "receptionist"));
        return (system, new Askers(system, system.ActorOf(ClusterClient.Props(ClusterClientSettings.Create(system).WithInitialContacts([.. receptionists])), "client"), ToRouter(new ServingNothing())));
    }

    private static Config Configuration(string own, bool isEncrypted) => ConfigurationFactory.ParseString($$"""
        akka {
          loglevel = OFF
          stdout-loglevel = OFF
          log-dead-letters = off
          coordinated-shutdown.exit-clr = off
          coordinated-shutdown.run-by-clr-shutdown-hook = off
          # an application that asks nothing should take nothing; deadlines are not the scheduler's
          scheduler.tick-duration = 50ms
          actor {
            provider = remote
            serialization-settings.allow-unregistered-types = off
            serializers {
              json = "{{typeof(NoOtherMessages).FullName}}, {{typeof(NoOtherMessages).Assembly.GetName().Name}}"
              clusternet-serving = "{{typeof(ServingMessages).FullName}}, {{typeof(ServingMessages).Assembly.GetName().Name}}"
            }
            serialization-bindings {
              "{{typeof(ServingRequest).FullName}}, {{typeof(ServingRequest).Assembly.GetName().Name}}" = clusternet-serving
              "{{typeof(ServingNothing).FullName}}, {{typeof(ServingNothing).Assembly.GetName().Name}}" = clusternet-serving
            }
            serialization-identifiers {
              "{{typeof(ServingMessages).FullName}}, {{typeof(ServingMessages).Assembly.GetName().Name}}" = 7105
            }
          }
          remote.dot-netty.tcp {
            hostname = "{{own}}"
            port = 0
            enable-ssl = {{(isEncrypted ? "on" : "off")}}
            transport-class = "{{typeof(PieceTransport).FullName}}, {{typeof(PieceTransport).Assembly.GetName().Name}}"
            maximum-frame-size = 1000000b
          }
          cluster.client {
            establishing-get-contacts-interval = 500ms
            refresh-contacts-interval = 5s
            # it speaks to one of the nodes, whichever answered first: where that one is lost it finds another after this
            heartbeat-interval = 500ms
            acceptable-heartbeat-pause = 1500ms
          }
        }
        """)
        .WithFallback(ClusterClientReceptionist.DefaultConfig())
        .WithFallback(DistributedPubSub.DefaultConfig());
}
