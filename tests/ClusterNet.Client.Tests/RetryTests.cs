using Microsoft.Extensions.Time.Testing;

namespace ClusterNet.Client.Tests;

/// <summary>What fails for a moment is tried again, with growing pauses and not before it was told, and never beyond its time.</summary>
public sealed class RetryTests
{
    private static readonly Samples _sample = Samples.Prepared([1], new float[1]);
    private readonly Clock _clock = new();
    private readonly Queue<PredictionFailedException> _failures = new();
    private readonly List<TimeSpan> _left = [];

    [Fact]
    public async Task What_was_shed_is_asked_again_after_the_pause_it_was_told()
    {
        _failures.Enqueue(new PredictionFailedException(FailureKind.Overloaded, "full", TimeSpan.FromSeconds(7)));
        var asked = Client().PredictAsync("m", _sample);
        _clock.Advance(TimeSpan.FromSeconds(6.9));
        Assert.Single(_left);
        _clock.Advance(TimeSpan.FromSeconds(0.2));
        Assert.Equal(1, (await asked).Count);
        Assert.Equal([30, 22.9], _left.Select(left => left.TotalSeconds), (a, b) => Math.Abs(a - b) < 0.01);
    }

    [Fact]
    public async Task Pauses_grow_and_the_last_failure_is_told_when_no_time_is_left()
    {
        for (var i = 0; i < 1000; i++)
            _failures.Enqueue(new PredictionFailedException(FailureKind.Unavailable, $"gone {i}"));
        var asked = Client().PredictAsync("m", _sample, new PredictOptions { Timeout = TimeSpan.FromSeconds(20) });
        // each pause is over as soon as it has begun
        while (await Task.WhenAny(asked, _clock.Begun.WaitAsync()) != asked)
            _clock.Advance(TimeSpan.FromSeconds(2));
        var failure = await Assert.ThrowsAsync<PredictionFailedException>(() => asked);
        Assert.Equal($"gone {_left.Count - 1}", failure.Message);
        // ten pauses of two seconds fit, if the last is shorter
        Assert.InRange(_left.Count, 10, 11);
        // 50, 100, 200, 400, 800, 1600, 2000 ms, ...: each at least half as long
        Assert.Equal([50, 100, 200, 400, 800, 1600, 2000, 2000, 2000], _clock.Pauses.Take(9).Select(pause => pause.TotalMilliseconds), (whole, pause) => pause >= whole / 2 && pause <= whole);
        Assert.All(_left, left => Assert.True(left > TimeSpan.Zero));
    }

    [Theory]
    [InlineData(FailureKind.InvalidInput)]
    [InlineData(FailureKind.UnknownModel)]
    [InlineData(FailureKind.DeadlineExceeded)]
    [InlineData(FailureKind.Refused)]
    [InlineData(FailureKind.Failed)]
    public async Task What_will_fail_again_is_not_tried_again(FailureKind kind)
    {
        _failures.Enqueue(new PredictionFailedException(kind, "no"));
        Assert.Equal(kind, (await Assert.ThrowsAsync<PredictionFailedException>(() => Client().PredictAsync("m", _sample))).Kind);
        Assert.Single(_left);
    }

    [Fact]
    public async Task A_pause_that_its_time_does_not_allow_is_not_begun()
    {
        _failures.Enqueue(new PredictionFailedException(FailureKind.Overloaded, "full", TimeSpan.FromMinutes(1)));
        Assert.Equal(FailureKind.Overloaded, (await Assert.ThrowsAsync<PredictionFailedException>(() => Client().PredictAsync("m", _sample))).Kind);
    }

    [Fact]
    public async Task Who_gives_up_is_not_kept()
    {
        _failures.Enqueue(new PredictionFailedException(FailureKind.Overloaded, "full", TimeSpan.FromSeconds(20)));
        using var gone = new CancellationTokenSource();
        var asked = Client().PredictAsync("m", _sample, cancel: gone.Token);
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);
    }

    [Fact]
    public void Samples_are_checked_where_they_are_made()
    {
        Assert.Throws<ArgumentException>(() => Samples.Table(["a", "b"], [[1]]));
        Assert.Throws<ArgumentException>(() => Samples.Table(["a", "a"], [[1, 2]]));
        Assert.Throws<ArgumentException>(() => Samples.Table(["a"], [[new object()]]));
        Assert.Throws<ArgumentException>(() => Samples.Array([2, 3], new float[7]));
        Assert.Throws<ArgumentException>(() => Samples.Array([0], new float[7]));
        Assert.Throws<ArgumentException>(() => Samples.Array([int.MaxValue, int.MaxValue], new float[7]));
        IEnumerable<string?> cells = ((Samples.TableSamples)Samples.Table(["a", "b", "c", "d", "e", "f"], [[1.5, double.NaN, "x", true, 0.1f, 3m]])).Rows[0];
        Assert.Equal((string?[])["1.5", null, "x", "true", "0.1", "3"], cells);
    }

    /// <summary>Says when somebody waits, and how long.</summary>
    private sealed class Clock : FakeTimeProvider
    {
        public SemaphoreSlim Begun { get; } = new(0);

        public List<TimeSpan> Pauses { get; } = [];

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = base.CreateTimer(callback, state, dueTime, period);
            Pauses.Add(dueTime);
            Begun.Release();
            return timer;
        }
    }

    private RetryingClient Client()
    {
        var options = new ClusterNetClientOptions { Clock = _clock };
        options.Use(new Scripted(this));
        return new RetryingClient(options);
    }

    private sealed class Scripted(RetryTests test) : ITransport
    {
        public string Name => "scripted";

        public Task<Prediction> PredictAsync(string model, Samples samples, PredictOptions options, TimeSpan left, CancellationToken cancel)
        {
            test._left.Add(left);
            return test._failures.TryDequeue(out var failure) ? Task.FromException<Prediction>(failure) : Task.FromResult(new Prediction(model, 1, [], [1f], ""));
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
