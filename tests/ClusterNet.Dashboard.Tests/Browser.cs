using ClusterNet.Cluster;
using ClusterNet.Gateway;
using ClusterNet.Gateway.Store;
using ClusterNet.Learning.Models;
using Microsoft.Playwright;

namespace ClusterNet.Dashboard.Tests;

/// <summary>Chromium, a real cluster of one node, and gateways in front of it, for all tests of a class.</summary>
public sealed class Browser : IAsyncLifetime
{
    /// <summary>Names a Chromium where there is none in the usual place.</summary>
    private const string PathVariable = "CLUSTERNET_TEST_CHROMIUM";

    /// <summary>Where pictures of the pages are put; nowhere where unset.</summary>
    private const string PicturesVariable = "CLUSTERNET_TEST_SCREENSHOTS";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("clusternet-dashboard-");
    private readonly List<GatewayStore> _stores = [];
    private IPlaywright? _playwright;
    private IBrowser? _browser;

    internal LocalCluster Cluster { get; private set; } = null!;

    private static string? Executable => new[] { Environment.GetEnvironmentVariable(PathVariable), "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome" }.FirstOrDefault(File.Exists);

    public async Task InitializeAsync()
    {
        if (Executable is not { } executable)
            return;
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = executable,
            Args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        });
        Cluster = await LocalCluster.StartAsync(Path.Combine(_folder.FullName, "cluster"), new ModelCatalog(ModelCatalog.BuiltIn));
    }

    public async Task DisposeAsync()
    {
        if (_browser is not null)
            await _browser.DisposeAsync();
        _playwright?.Dispose();
        if (Cluster is not null)
            await Cluster.DisposeAsync();
        _stores.ForEach(store => store.Dispose());
        _folder.Delete(true);
    }

    internal string NewPath() => Path.Combine(_folder.FullName, Guid.NewGuid().ToString("n"));

    internal GatewayStore NewStore()
    {
        var store = GatewayStore.Open(NewPath(), null);
        _stores.Add(store);
        return store;
    }

    internal Task<GatewayServer> StartAsync(GatewayStore? store = null, int port = 0) => GatewayServer.StartAsync(
        new GatewaySettings { Port = port, Node = "gateway-1", StopPatience = TimeSpan.FromSeconds(1) },
        new GatewayParts(Cluster.System, Cluster, Cluster.Serving, store ?? NewStore(), (_, source) => throw new NotSupportedException(source)));

    /// <summary>A page that fails the test when it asks another host, or when its console has an error.</summary>
    internal async Task<WatchedPage> OpenAsync(GatewayServer gateway, string hash = "", int width = 1280, bool isDark = false)
    {
        var context = await _browser!.NewContextAsync(new BrowserNewContextOptions
        {
            ViewportSize = new ViewportSize { Width = width, Height = 900 },
            ColorScheme = isDark ? ColorScheme.Dark : ColorScheme.Light,
            ReducedMotion = ReducedMotion.Reduce,
        });
        var page = new WatchedPage(await context.NewPageAsync(), gateway.Address);
        await page.Page.GotoAsync(new Uri(gateway.Address, "/" + hash).ToString());
        return page;
    }

    internal static void SkipWithoutBrowser() => Skip.If(Executable is null, $"no Chromium: install it (apt-get install chromium), or name it in {PathVariable}");

    internal static async Task PictureAsync(IPage page, string name)
    {
        if (Environment.GetEnvironmentVariable(PicturesVariable) is { Length: > 0 } folder)
            await page.ScreenshotAsync(new PageScreenshotOptions { Path = Path.Combine(folder, name + ".png"), FullPage = true });
    }
}

/// <summary>A page, and what it did that it should not.</summary>
internal sealed class WatchedPage : IAsyncDisposable
{
    private readonly List<string> _faults = [];

    public WatchedPage(IPage page, Uri home)
    {
        Page = page;
        page.SetDefaultTimeout(20_000);
        page.Request += (_, request) =>
        {
            if (!request.Url.StartsWith(home.ToString(), StringComparison.Ordinal) && !request.Url.StartsWith("data:", StringComparison.Ordinal))
                _faults.Add($"asked {request.Url}");
        };
        page.Console += (_, message) =>
        {
            // a gateway that is gone, or refuses a key, is reported by the browser itself
            if (message.Type == "error" && !message.Text.StartsWith("Failed to load resource", StringComparison.Ordinal))
                _faults.Add(message.Text);
        };
        page.PageError += (_, error) => _faults.Add(error);
    }

    public IPage Page { get; }

    public async ValueTask DisposeAsync()
    {
        await Page.Context.CloseAsync();
        Assert.Empty(_faults);
    }
}
