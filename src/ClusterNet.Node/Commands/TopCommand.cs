using System.CommandLine;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using ClusterNet.Cluster;
using ClusterNet.Core.Faults;
using ClusterNet.Node.Hosting;
using ClusterNet.Node.Output;
using Spectre.Console;

namespace ClusterNet.Node.Commands;

/// <summary><c>top</c>: what the dashboard shows, in a terminal, from a gateway.</summary>
internal static class TopCommand
{
    /// <summary>Where the key is: on the command line everybody on the machine could read it.</summary>
    public const string KeyVariable = "CLUSTERNET_API_KEY";

    private static readonly TimeSpan _keyPace = TimeSpan.FromMilliseconds(50);

    /// <summary>The command.</summary>
    public static Command Create(CommandLine line)
    {
        var url = new Option<string>("--url") { Description = "The gateway's HTTP address", HelpName = "URL", DefaultValueFactory = _ => "http://127.0.0.1:8000" };
        var interval = new Option<double>("--interval") { Description = "Seconds between two looks", HelpName = "SECONDS", DefaultValueFactory = _ => 2 };
        var authorities = new Option<string?>("--tls-authorities") { Description = "Certificates of the authorities that the gateway's certificate comes from, PEM, where this machine does not trust them", HelpName = "FILE" };
        var command = new Command("top", $"Show cluster, jobs and models live, from a gateway, until q or Ctrl-C; once where this is no terminal. A key is taken from {KeyVariable}") { url, interval, authorities };
        line.On(command, (parse, run) => RunAsync(run, Address(parse.GetRequiredValue(url)), Interval(parse.GetValue(interval)), parse.GetValue(authorities)));
        return command;
    }

    private static Uri Address(string text) => Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
        ? new Uri(text)
        : throw new InputException("--url", $"'{text}' is no address such as http://127.0.0.1:8000");

    private static TimeSpan Interval(double seconds) => seconds is >= 0.2 and <= 3600 ? TimeSpan.FromSeconds(seconds) : throw new InputException("--interval", $"{seconds} is not within 0.2 to 3600 seconds");

    private static async Task<int> RunAsync(CommandRun run, Uri address, TimeSpan interval, string? authorities)
    {
        using var gateway = new GatewayReader(address, run.Host.Environment(KeyVariable), Trust(authorities));
        var view = new TopView(address, run.Host.Clock);
        // what is wrong from the start is said as an error, not drawn
        view.Update(await gateway.ReadAsync(run.Interrupt));
        if (run.Json)
        {
            run.Print(view.ToJson());
            return ExitCode.Done;
        }
        if (!run.Screen.IsTerminal)
        {
            run.Screen.Out.Write(view.Render(height: int.MaxValue));
            return ExitCode.Done;
        }
        await run.Screen.Out.Live(view.Render(run.Screen.Out.Profile.Height)).AutoClear(true).Overflow(VerticalOverflow.Crop).StartAsync(async live =>
        {
            while (await WaitAsync(interval, run.Interrupt))
            {
                try
                {
                    view.Update(await gateway.ReadAsync(run.Interrupt));
                }
                catch (ClusterException error)
                {
                    // it may be back the next time
                    view.Lost(error.Message);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
                live.UpdateTarget(view.Render(run.Screen.Out.Profile.Height));
            }
        });
        return ExitCode.Done;
    }

    /// <returns>false where somebody wants to stop</returns>
    private static async Task<bool> WaitAsync(TimeSpan time, CancellationToken cancel)
    {
        for (var left = time; left > TimeSpan.Zero; left -= _keyPace)
        {
            if (cancel.IsCancellationRequested)
                return false;
            while (!Console.IsInputRedirected && Console.KeyAvailable)
            {
                if (Console.ReadKey(intercept: true).KeyChar is 'q' or 'Q')
                    return false;
            }
            await Task.Delay(_keyPace, CancellationToken.None);
        }
        return !cancel.IsCancellationRequested;
    }

    private static SslClientAuthenticationOptions Trust(string? file)
    {
        if (file is null)
            return new SslClientAuthenticationOptions();
        try
        {
            var trusted = new X509Certificate2Collection();
            trusted.ImportFromPemFile(file);
            if (trusted.Count == 0)
                throw new InputException("--tls-authorities", $"{file} has no certificate (PEM)");
            var chain = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            chain.CustomTrustStore.AddRange(trusted);
            return new SslClientAuthenticationOptions { CertificateChainPolicy = chain };
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new InputException("--tls-authorities", $"{file} can't be read: {error.Message}");
        }
    }
}
