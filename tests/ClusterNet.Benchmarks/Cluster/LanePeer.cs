using System.Diagnostics;
using Akka.Actor;

namespace ClusterNet.Benchmarks.Cluster;

/// <summary>The other process of the lane's benchmark: what it runs, and how the first one starts it.</summary>
internal sealed class LanePeer : IDisposable
{
    public const string Command = "lane-peer";

    /// <summary>Follows it where the lane goes by shared memory.</summary>
    public const string Local = "local";

    private readonly Process _process;

    private LanePeer(Process process, IReadOnlyList<int> ports)
    {
        _process = process;
        (LanePort, RemotePort, RawPort) = (ports[0], ports[1], ports[2]);
    }

    /// <summary>Of the system whose tensors go by the lane.</summary>
    public int LanePort { get; }

    /// <summary>Of the system whose tensors go by Akka.Remote.</summary>
    public int RemotePort { get; }

    /// <summary>Of the plain socket.</summary>
    public int RawPort { get; }

    /// <summary>Serves until standard input ends.</summary>
    /// <param name="isLocal">see <see cref="Road.Lane"/></param>
    /// <param name="cancel">gives up</param>
    public static async Task ServeAsync(bool isLocal, CancellationToken cancel)
    {
        Road[] roads = [Road.Lane(isLocal), Road.Remote()];
        foreach (var road in roads)
        {
            road.System.ActorOf(Props.Create(() => new EchoActor(road)).WithDispatcher("parameters-dispatcher"), "echo");
            road.System.ActorOf(Props.Create(() => new SinkActor()).WithDispatcher("parameters-dispatcher"), "sink");
            road.System.ActorOf(Props.Create(() => new ControlActor()), "control");
        }
        Console.WriteLine($"{roads[0].Port} {roads[1].Port} {RawEcho.Listen()}");
        await Console.In.ReadToEndAsync(cancel);
    }

    public static async Task<LanePeer> StartAsync(bool isLocal, CancellationToken cancel)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, isLocal ? [Command, Local] : [Command]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        var process = Process.Start(start) ?? throw new InvalidOperationException("no process");
        var line = await process.StandardOutput.ReadLineAsync(cancel) ?? throw new InvalidOperationException("the other process ended at once");
        return new LanePeer(process, [.. line.Split(' ').Select(int.Parse)]);
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(TimeSpan.FromSeconds(10)))
            _process.Kill();
        _process.Dispose();
    }
}
