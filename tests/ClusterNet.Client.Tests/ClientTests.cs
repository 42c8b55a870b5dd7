using System.Diagnostics;
using System.Globalization;
using System.Threading.Channels;
using Akka.Actor;
using Akka.Cluster.Tools.Client;
using Akka.Cluster.Tools.PublishSubscribe;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Serving;
using ClusterNet.Data;
using Microsoft.Extensions.DependencyInjection;

namespace ClusterNet.Client.Tests;

/// <summary>Both ways give what the cluster itself gives, bit for bit, and fail in the same words.</summary>
public sealed class ClientTests(ServedCluster served) : IClassFixture<ServedCluster>
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(30);

    public static TheoryData<string> Ways => new("grpc", "message");

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Raw_rows_are_answered_with_the_bits_of_the_cluster(string way)
    {
        var client = served.Client(way);
        // more than one message takes
        var (columns, rows) = ServedCluster.Rows(served.First, 450);
        rows[3][7] = null;
        var missing = await Assert.ThrowsAsync<PredictionFailedException>(() => client.PredictAsync(ServedCluster.Model, Samples.Table(columns, rows.Select(Values))));
        Assert.Equal(FailureKind.InvalidInput, missing.Kind);
        Assert.Contains(columns[7], missing.Message, StringComparison.Ordinal);
        rows[3][7] = 1.25;
        var answer = await client.PredictAsync(ServedCluster.Model, Samples.Table(columns, rows.Select(Values)));
        var table = new RawSamples.Table(columns, [.. rows.Select(row => (IReadOnlyList<string?>)[.. row.Select(value => value!.Value.ToString("R", CultureInfo.InvariantCulture))])]);
        var expected = await served.First.Serving.PredictAsync(new PredictRequest(ServedCluster.Model, new ModelInput.Raw(table)));
        Assert.Equal(Bits([.. expected.Prediction.Outputs.Span]), Bits(answer.Outputs));
        Assert.Equal((ServedCluster.Model, 1, expected.WeightsSha256, 450), (answer.Model, answer.Version, answer.WeightsSha256, answer.Count));
        Assert.Equal(expected.Prediction.Classes, answer.Classes);
        for (var i = 0; i < answer.Count; i++)
            Assert.Equal(expected.Prediction.ClassOf(i), answer.ClassOf(i));
        Assert.Throws<InvalidOperationException>(() => answer.ValueOf(0));
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Prepared_tensors_are_taken_as_they_are(string way)
    {
        float[] values = [.. Enumerable.Range(0, 60).Select(i => (i % 7) - 3f)];
        var answer = await served.Client(way).PredictAsync(ServedCluster.Model, Samples.Prepared([30], values), new PredictOptions { Version = "1", Priority = PredictOptions.HighestPriority, Key = "patient" });
        var expected = await served.First.Serving.PredictAsync(new PredictRequest(ServedCluster.Model, new ModelInput.Prepared([30], values)));
        Assert.Equal(Bits([.. expected.Prediction.Outputs.Span]), Bits(answer.Outputs));
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task What_can_not_be_is_said_at_once(string way)
    {
        var client = served.Client(way);
        var sample = Samples.Prepared([30], new float[30]);
        Assert.Equal(FailureKind.UnknownModel, (await FailureAsync(client.PredictAsync("nobody", sample))).Kind);
        Assert.Equal(FailureKind.UnknownModel, (await FailureAsync(client.PredictAsync(ServedCluster.Model, sample, new PredictOptions { Version = "99" }))).Kind);
        Assert.Equal(FailureKind.InvalidInput, (await FailureAsync(client.PredictAsync(ServedCluster.Model, Samples.Prepared([29], new float[29])))).Kind);
        Assert.Equal(FailureKind.InvalidInput, (await FailureAsync(client.PredictAsync(ServedCluster.Model, Samples.Row(new Dictionary<string, object?> { ["something"] = 1 })))).Kind);
        Assert.Equal(FailureKind.InvalidInput, (await FailureAsync(client.PredictAsync(ServedCluster.Model, Samples.Prepared([30], Array.Empty<float>())))).Kind);
        Assert.Equal(FailureKind.InvalidInput, (await FailureAsync(client.PredictAsync(ServedCluster.Model, sample, new PredictOptions { Priority = 10 }))).Kind);
        Assert.Equal(FailureKind.InvalidInput, (await FailureAsync(client.PredictAsync(ServedCluster.Model, sample, new PredictOptions { Timeout = TimeSpan.Zero }))).Kind);
        using var gone = new CancellationTokenSource();
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.PredictAsync(ServedCluster.Model, sample, cancel: gone.Token));
    }

    [Fact]
    public async Task A_sample_that_no_message_takes_is_refused_before_it_is_sent()
    {
        var failure = await FailureAsync(served.Client("message").PredictAsync(ServedCluster.Model, Samples.Prepared([17_000_000], new float[17_000_000])));
        Assert.Equal(FailureKind.InvalidInput, failure.Kind);
        Assert.Contains("which no message does; ask by gRPC", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_sample_that_no_frame_takes_comes_to_the_model()
    {
        var failure = await FailureAsync(served.Client("message").PredictAsync(ServedCluster.Model, Samples.Prepared([1_000_000], new float[1_000_000])));
        Assert.Equal(FailureKind.InvalidInput, failure.Kind);
        Assert.Contains("a sample has the shape [1000000]", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("grpc")]
    [InlineData("message")]
    public async Task Where_nobody_is_it_is_tried_until_the_time_is_over(string way)
    {
        var options = new ClusterNetClientOptions { Silence = TimeSpan.FromMilliseconds(200), FirstPause = TimeSpan.FromMilliseconds(1) };
        if (way == "grpc")
            options.UseGrpc(new Uri("http://127.0.0.1:9"));
        else
            options.UseCluster(["127.0.0.1:9"]);
        await using var client = new RetryingClient(options);
        var failure = await FailureAsync(client.PredictAsync("m", Samples.Prepared([1], new float[1]), new PredictOptions { Timeout = TimeSpan.FromSeconds(1) }));
        Assert.True(failure.Kind is FailureKind.Unavailable or FailureKind.DeadlineExceeded, failure.ToString());
    }

    [Fact]
    public async Task Another_node_answers_when_the_one_that_was_asked_leaves()
    {
        var leaving = await served.StartAsync("leaving", [Cluster.Hosting.Roles.Gateway]);
        var options = new ClusterNetClientOptions { Silence = TimeSpan.FromSeconds(1) };
        options.UseCluster([leaving.Address.ToString(), served.First.Address.ToString()]);
        await using var client = new RetryingClient(options);
        var sample = Samples.Prepared([30], new float[30]);
        var expected = Bits((await client.PredictAsync(ServedCluster.Model, sample)).Outputs);
        using var over = new CancellationTokenSource();
        using var answered = new SemaphoreSlim(0);
        var asking = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            while (!over.IsCancellationRequested)
            {
                Assert.Equal(expected, Bits((await client.PredictAsync(ServedCluster.Model, sample, new PredictOptions { Timeout = TimeSpan.FromMinutes(1) })).Outputs));
                answered.Release();
            }
        })).ToArray();
        // under way, before the node leaves
        for (var i = 0; i < asking.Length; i++)
            Assert.True(await answered.WaitAsync(_patience));
        await leaving.DisposeAsync();
        await client.PredictAsync(ServedCluster.Model, sample, new PredictOptions { Timeout = TimeSpan.FromMinutes(1) });
        await over.CancelAsync();
        await Task.WhenAll(asking);
    }

    [Fact]
    public async Task However_often_it_asks_by_message_nodes_keep_few_ways_back()
    {
        var client = served.Client("message");
        var sample = Samples.Prepared([30], new float[30]);
        await client.PredictAsync(ServedCluster.Model, sample);
        var before = await WaysBackAsync();
        for (var i = 0; i < 50; i++)
            await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => client.PredictAsync(ServedCluster.Model, sample)));
        // at each node, one for each question that was under way together
        Assert.InRange(await WaysBackAsync() - before, 0, 8);

        async Task<int> WaysBackAsync()
        {
            var ways = 0;
            foreach (var node in new[] { served.First, served.Second })
                ways += ((ActorRefWithCell)await node.System.ActorSelection("/system/receptionist").ResolveOne(TimeSpan.FromSeconds(10))).Children.Count();
            return ways;
        }
    }

    [Fact]
    public async Task One_that_is_disposed_of_connects_no_more()
    {
        var options = new ClusterNetClientOptions();
        options.UseCluster([served.First.Address.ToString()]);
        var client = new RetryingClient(options);
        await client.PredictAsync(ServedCluster.Model, Samples.Prepared([30], new float[30]));
        await client.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.PredictAsync(ServedCluster.Model, Samples.Prepared([30], new float[30])));
    }

    [Fact]
    public async Task An_answer_that_comes_too_late_is_not_taken_for_the_next_one_s()
    {
        using var system = ActorSystem.Create("late");
        var asked = new List<(object Message, IActorRef From)>();
        var arrived = new SemaphoreSlim(0);
        var client = system.ActorOf(Props.CreateBy(new Recording(Record)));
        var askers = new Messages.Askers(system, client, "nobody waits");
        await Assert.ThrowsAsync<TimeoutException>(() => askers.AskAsync("first", TimeSpan.FromMilliseconds(50), default));
        var second = askers.AskAsync("second", TimeSpan.FromMinutes(1), default);
        for (var i = 0; i < 3; i++)
            Assert.True(await arrived.WaitAsync(_patience));
        Assert.Equal(new[] { "first", "nobody waits", "second" }.Order(), asked.Select(one => (string)one.Message).Order());
        Assert.Equal(Of("first"), Of("nobody waits"));
        Of("first").Tell("late");
        Of("second").Tell("answer");
        Assert.Equal("answer", await second);
        // and one that had its answer asks again
        var third = askers.AskAsync("third", TimeSpan.FromMinutes(1), default);
        Assert.True(await arrived.WaitAsync(_patience));
        Assert.Equal(Of("second"), Of("third"));
        Of("third").Tell("another");
        Assert.Equal("another", await third);
        using var gone = new CancellationTokenSource();
        var fourth = askers.AskAsync("fourth", TimeSpan.FromMinutes(1), gone.Token);
        Assert.True(await arrived.WaitAsync(_patience));
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => fourth);
        Assert.True(await arrived.WaitAsync(_patience));
        Assert.Equal(("nobody waits", Of("fourth")), asked[^1]);

        IActorRef Of(string message)
        {
            lock (asked)
                return asked.First(one => one.Message.Equals(message)).From;
        }

        void Record(object message, IActorRef from)
        {
            lock (asked)
                asked.Add((message, from));
            arrived.Release();
        }
    }

    [Fact]
    public async Task A_router_hears_that_nobody_waits_any_more()
    {
        // a cluster of its own: the cluster client speaks to whichever receptionist of a cluster answers it first, and another node's router would answer
        await using var node = await served.StartAsync("alone", Roles.All, []);
        // in the place of the router: one that says what it hears, and answers nothing
        var heard = Channel.CreateUnbounded<(object Message, IActorRef From)>();
        await (await node.System.ActorSelection("/user/serving").ResolveOne(_patience)).GracefulStop(_patience);
        IActorRef? listening = null;
        while (listening is null)
        {
            try
            {
                listening = node.System.ActorOf(Props.CreateBy(new Recording((message, from) => heard.Writer.TryWrite((message, from)))), "serving");
            }
            catch (InvalidActorNameException)
            {
                // the name is free a moment after who had it has stopped
                await Task.Yield();
            }
        }
        // a question that comes before the receptionist knows the new actor is lost: it is asked for once that hears
        const string Sounding = "are you there?";
        var mediator = DistributedPubSub.Get(node.System).Mediator;
        var reached = heard.Reader.WaitToReadAsync().AsTask();
        for (var waiting = Stopwatch.StartNew(); !reached.IsCompleted && waiting.Elapsed < _patience;)
        {
            ClusterClientReceptionist.Get(node.System).RegisterService(listening);
            mediator.Tell(new Send("/user/serving", Sounding, localAffinity: true));
            await Task.WhenAny(reached, Task.Delay(TimeSpan.FromMilliseconds(100)));
        }
        Assert.True(reached.IsCompleted, "the receptionist does not find the actor in the router's place");
        var options = new ClusterNetClientOptions();
        options.UseCluster([node.Address.ToString()]);
        await using var client = new RetryingClient(options);
        using var gone = new CancellationTokenSource();
        var asked = client.PredictAsync(ServedCluster.Model, Samples.Prepared([30], new float[30]), cancel: gone.Token);
        (object Message, IActorRef From) request;
        do
            request = await heard.Reader.ReadAsync().AsTask().WaitAsync(_patience);
        while (request.Message is Sounding);
        Assert.IsType<PredictRequest>(request.Message);
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);
        var withdrawn = await heard.Reader.ReadAsync().AsTask().WaitAsync(_patience);
        Assert.Equal((new ServingProtocol.Commands.Withdraw(), request.From), withdrawn);
    }

    [Fact]
    public async Task A_trace_goes_on_in_the_gateway()
    {
        var seen = new List<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name is ClientTelemetry.Name or "Microsoft.AspNetCore",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                lock (seen)
                    seen.Add(activity);
            },
        };
        ActivitySource.AddActivityListener(listener);
        using var outer = new Activity("caller").Start();
        await served.Client("grpc").PredictAsync(ServedCluster.Model, Samples.Prepared([30], new float[30]));
        bool IsThere(string source)
        {
            lock (seen)
                return seen.Any(activity => activity.Source.Name == source && activity.TraceId == outer.TraceId);
        }

        Assert.True(IsThere(ClientTelemetry.Name));
        // the server's own ends a moment after its answer
        Assert.True(SpinWait.SpinUntil(() => IsThere("Microsoft.AspNetCore"), TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task It_is_had_from_a_program_s_services_and_says_what_it_was_not_told()
    {
        var services = new ServiceCollection();
        services.AddClusterNetClient(options => options.UseGrpc(served.Gateway.GrpcAddress!));
        await using var provider = services.BuildServiceProvider();
        var answer = await provider.GetRequiredService<IClusterNetClient>().PredictAsync(ServedCluster.Model, Samples.Prepared([30], new float[30]));
        Assert.Equal(1, answer.Count);
        await using var nowhere = new ServiceCollection().AddClusterNetClient(_ => { }).BuildServiceProvider();
        Assert.Contains("UseGrpc", Assert.Throws<InvalidOperationException>(nowhere.GetRequiredService<IClusterNetClient>).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new ClusterNetClientOptions().UseCluster(["nonsense"]));
        Assert.Throws<ArgumentException>(() => new ClusterNetClientOptions().UseGrpc(new Uri("ftp://host/")));
    }

    private sealed class Recorder : ReceiveActor
    {
        public Recorder(Action<object, IActorRef> record) => ReceiveAny(message => record(message, Sender));
    }

    private sealed class Recording(Action<object, IActorRef> record) : IIndirectActorProducer
    {
        public Type ActorType => typeof(Recorder);

        public ActorBase Produce() => new Recorder(record);

        public void Release(ActorBase actor)
        {
        }
    }

    private static IReadOnlyList<object?> Values(double?[] row) => [.. row.Cast<object?>()];

    private static async Task<PredictionFailedException> FailureAsync(Task<Prediction> asked) => await Assert.ThrowsAsync<PredictionFailedException>(() => asked);

    private static IEnumerable<int> Bits(IEnumerable<float> values) => values.Select(BitConverter.SingleToInt32Bits);
}
