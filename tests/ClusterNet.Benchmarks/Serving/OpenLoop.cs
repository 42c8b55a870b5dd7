using System.Diagnostics;
using ClusterNet.Cluster.Serving;

namespace ClusterNet.Benchmarks.Serving;

/// <summary>Clients that send by the clock, answered or not.</summary>
internal static class OpenLoop
{
    /// <param name="perSecond">requests</param>
    /// <param name="duration">for how long</param>
    /// <param name="deadline">what counts as in time</param>
    /// <param name="ask">one request, given its number</param>
    public static async Task<OverloadResult> RunAsync(double perSecond, TimeSpan duration, TimeSpan deadline, Func<int, Task> ask)
    {
        var (served, shed, late, sent, open) = (new List<double>(), new List<double>(), 0, 0, 0);
        var gate = new Lock();
        var over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var elapsed = TimeSpan.Zero;
        var sender = new Thread(() =>
        {
            var watch = Stopwatch.StartNew();
            while (watch.Elapsed < duration)
            {
                for (var due = (int)(watch.Elapsed.TotalSeconds * perSecond); sent < due; sent++)
                {
                    Interlocked.Increment(ref open);
                    _ = OneAsync(sent);
                }
                Thread.Sleep(1);
            }
            elapsed = watch.Elapsed;
            over.SetResult();
        });
        sender.Start();
        await over.Task;
        while (Volatile.Read(ref open) > 0)
            await Task.Delay(10);
        served.Sort();
        shed.Sort();
        return new OverloadResult(
            sent / elapsed.TotalSeconds, served.Count(took => took <= deadline.TotalMilliseconds) / elapsed.TotalSeconds, (double)late / sent, LoadResult.Quantile(served, 0.99), LoadResult.Quantile(shed, 0.99));

        async Task OneAsync(int number)
        {
            var started = Stopwatch.GetTimestamp();
            var refused = false;
            var expired = false;
            try
            {
                await ask(number).ConfigureAwait(false);
            }
            catch (PredictionException error)
            {
                expired = error.Kind == ServingProtocol.FailureKind.DeadlineExceeded;
                refused = !expired;
            }
            var took = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            lock (gate)
            {
                if (refused)
                    shed.Add(took);
                else if (!expired)
                    served.Add(took);
                if (expired || (!refused && took > deadline.TotalMilliseconds))
                    late++;
            }
            Interlocked.Decrement(ref open);
        }
    }
}
