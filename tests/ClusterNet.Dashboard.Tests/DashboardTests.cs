using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using ClusterNet.Cluster.Tests;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Jobs;
using ClusterNet.Gateway.Access;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace ClusterNet.Dashboard.Tests;

/// <summary>The dashboard as somebody sees it who sits in front of a browser, or can't see it.</summary>
[Trait("Category", "Browser")]
public sealed class DashboardTests(Browser browser) : IClassFixture<Browser>
{
    [SkippableFact]
    public async Task It_shows_members_jobs_and_models_and_follows_a_job_without_being_loaded_again()
    {
        Browser.SkipWithoutBrowser();
        await using var gateway = await browser.StartAsync();
        await using var watched = await browser.OpenAsync(gateway);
        var page = watched.Page;
        await Expect(page.GetByRole(AriaRole.Status)).ToHaveTextAsync("live");
        await Expect(page.GetByText("up", new PageGetByTextOptions { Exact = true })).ToBeVisibleAsync();
        foreach (var role in new[] { "coordinator", "parameters", "worker", "inference", "gateway" })
            await Expect(page.GetByRole(AriaRole.Table, new PageGetByRoleOptions { Name = "Members of the cluster" }).GetByText(role, new LocatorGetByTextOptions { Exact = true })).ToBeVisibleAsync();

        await page.EvaluateAsync("window.notLoadedAgain = true");
        var job = await browser.Cluster.SubmitAsync(TestJobs.Wdbc("mlp", training => training with { Epochs = 400, Select = VersionSelection.Best }, ("hidden", ["16"])) with { Name = "followed" });
        await page.GetByRole(AriaRole.Link, new PageGetByRoleOptions { Name = job.Value }).First.ClickAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new PageGetByRoleOptions { Level = 1 })).ToContainTextAsync(job.Value);
        var curve = page.GetByRole(AriaRole.Img, new PageGetByRoleOptions { NameRegex = new("^Loss\\. training, by step: [0-9]+ points") });
        var before = await PointsAsync(curve);
        await page.WaitForFunctionAsync("before => Number(/by step: (\\d+) points/.exec(document.querySelector('.chart').getAttribute('aria-label'))[1]) > before", before);
        await CompletedAsync(job);
        await Expect(page.GetByRole(AriaRole.Heading, new PageGetByRoleOptions { Name = "Result" })).ToBeVisibleAsync();
        var details = await browser.Cluster.JobAsync(job);
        await Expect(page.GetByText(details.Result!.WeightsSha256)).ToBeVisibleAsync();
        Assert.True(await page.EvaluateAsync<bool>("window.notLoadedAgain === true"));
        // who comes later sees how fast it went, too
        await page.ReloadAsync();
        await Expect(page.GetByRole(AriaRole.Img, new PageGetByRoleOptions { NameRegex = new("^Throughput\\. samples per second: [0-9]+ points") })).ToBeVisibleAsync();
        await Browser.PictureAsync(page, "job");

        // for who does not see the curve
        await page.GetByText("Show as table").First.ClickAsync();
        await Expect(page.GetByRole(AriaRole.Columnheader, new PageGetByRoleOptions { Name = "validation" })).ToBeVisibleAsync();
        await AssertAccessibleAsync(page);
    }

    [SkippableFact]
    public async Task A_prediction_of_the_form_has_the_bits_of_the_protocol_by_keyboard_alone()
    {
        Browser.SkipWithoutBrowser();
        var model = await ModelAsync();
        await using var gateway = await browser.StartAsync();
        await using var watched = await browser.OpenAsync(gateway, $"#/predict/{model}");
        var page = watched.Page;
        await Expect(page.GetByLabel("mean_radius")).ToBeVisibleAsync();
        // about the mean of each column, where the model is unsure
        double[] values =
        [
            14.1, 19.3, 92, 655, 0.096, 0.104, 0.089, 0.049, 0.181, 0.063, 0.405, 1.217, 2.87, 40.3, 0.007,
            0.025, 0.032, 0.012, 0.02, 0.0038, 16.3, 25.7, 107, 880, 0.132, 0.254, 0.272, 0.115, 0.29, 0.084,
        ];
        await page.GetByLabel("mean_radius").FocusAsync();
        foreach (var value in values)
        {
            await page.Keyboard.TypeAsync(value.ToString(CultureInfo.InvariantCulture));
            await page.Keyboard.PressAsync("Tab");
        }
        await page.GetByLabel("mean_radius").FocusAsync();
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.Locator("#answer-class")).ToContainTextAsync("target: ");

        using var http = new HttpClient { BaseAddress = gateway.Address };
        var described = await http.GetFromJsonAsync<JsonElement>(new Uri($"/v2/models/{model}", UriKind.Relative));
        var inputs = described.GetProperty("inputs").EnumerateArray().Select((input, i) => new { name = input.GetProperty("name").GetString(), datatype = "FP64", shape = new[] { 1 }, data = new[] { values[i] } });
        var answer = await (await http.PostAsJsonAsync(new Uri($"/v2/models/{model}/infer", UriKind.Relative), new { inputs })).Content.ReadFromJsonAsync<JsonElement>();
        var expected = answer.GetProperty("outputs").EnumerateArray().First(output => output.GetProperty("name").GetString() == "probabilities").GetProperty("data").EnumerateArray().Select(value => value.GetSingle()).ToArray();
        var shown = await page.Locator("[data-probability]").AllTextContentsAsync();
        Assert.All(expected, probability => Assert.InRange(probability, 0.001f, 0.999f));
        Assert.Equal(expected.Select(BitConverter.SingleToInt32Bits), shown.Select(text => BitConverter.SingleToInt32Bits(float.Parse(text, CultureInfo.InvariantCulture))));
        await Browser.PictureAsync(page, "predict");
        await AssertAccessibleAsync(page);

        // what is wrong is said where it is
        await page.GetByLabel("mean_texture").FillAsync("much");
        await page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Predict" }).ClickAsync();
        await Expect(page.GetByText("mean_texture: 'much' is no number")).ToBeVisibleAsync();
    }

    [SkippableFact]
    public async Task A_row_brings_the_values_of_columns_that_are_too_many_for_fields()
    {
        Browser.SkipWithoutBrowser();
        var spec = TestJobs.Digits("mlp", [], null, ("hidden", ["8"]));
        await CompletedAsync(await browser.Cluster.SubmitAsync(spec with { Name = "wide" }));
        await using var gateway = await browser.StartAsync();
        await using var watched = await browser.OpenAsync(gateway, "#/predict/wide");
        var page = watched.Page;
        await Expect(page.GetByText("4 more columns get their values from a row below, and are missing without one.")).ToBeVisibleAsync();
        await Expect(page.Locator(".fields input")).ToHaveCountAsync(60);
        var values = Enumerable.Range(0, 64).Select(pixel => pixel * 7 % 17).ToArray();
        await page.GetByLabel("Row", new PageGetByLabelOptions { Exact = true }).FillAsync(string.Join('\t', values));
        await page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Predict" }).ClickAsync();
        await Expect(page.Locator("#answer-class")).ToBeVisibleAsync();
        var shown = await page.Locator("[data-probability]").AllTextContentsAsync();

        using var http = new HttpClient { BaseAddress = gateway.Address };
        var described = await http.GetFromJsonAsync<JsonElement>(new Uri("/v2/models/wide", UriKind.Relative));
        var inputs = described.GetProperty("inputs").EnumerateArray().Select((input, i) => new { name = input.GetProperty("name").GetString(), datatype = "FP64", shape = new[] { 1 }, data = new[] { values[i] } }).ToArray();
        var answer = await (await http.PostAsJsonAsync(new Uri("/v2/models/wide/infer", UriKind.Relative), new { inputs })).Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal(
            answer.GetProperty("outputs").EnumerateArray().First(output => output.GetProperty("name").GetString() == "probabilities").GetProperty("data").EnumerateArray().Select(value => value.GetSingle()),
            shown.Select(text => float.Parse(text, CultureInfo.InvariantCulture)));
        await Browser.PictureAsync(page, "predict-wide");
        await AssertAccessibleAsync(page);

        await page.GetByLabel("Row", new PageGetByLabelOptions { Exact = true }).FillAsync(string.Join('\t', values[..63]) + "\tmuch");
        await page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Predict" }).ClickAsync();
        await Expect(page.GetByText($"{inputs[63].name}: 'much' is no number")).ToBeVisibleAsync();
    }

    [SkippableFact]
    public async Task A_long_table_begins_with_its_first_rows_and_has_the_others_when_they_are_wanted()
    {
        Browser.SkipWithoutBrowser();
        await using var gateway = await browser.StartAsync();
        await using var watched = await browser.OpenAsync(gateway, "#/models");
        var page = watched.Page;
        var jobs = JsonSerializer.Serialize(new
        {
            jobs = Enumerable.Range(1, 250).Select(number => new { job = $"many-{number}", status = "completed", steps = 3, total_steps = 3, submitted = "2026-11-25T10:00:00Z", model = "many", version = number }),
        });
        await page.RouteAsync("**/api/jobs", route => route.FulfillAsync(new RouteFulfillOptions { ContentType = "application/json", Body = jobs }));
        await page.EvaluateAsync("location.hash = '#/jobs'");
        await Expect(page.Locator("tbody tr")).ToHaveCountAsync(100);
        await Expect(page.Locator("tbody tr").First).ToContainTextAsync("many-250");
        await Expect(page.GetByText("100 of 250 are shown")).ToBeVisibleAsync();
        await AssertAccessibleAsync(page);
        await page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Show more" }).ClickAsync();
        await Expect(page.Locator("tbody tr")).ToHaveCountAsync(250);
        await Expect(page.Locator("tbody tr").Last).ToContainTextAsync("many-1");
        await Expect(page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Show more" })).ToBeHiddenAsync();
    }

    [SkippableTheory]
    [InlineData(1280, false)]
    [InlineData(360, true)]
    public async Task Every_section_can_be_read_on_any_screen_and_by_a_screen_reader(int width, bool isDark)
    {
        Browser.SkipWithoutBrowser();
        var model = await ModelAsync();
        await using var gateway = await browser.StartAsync();
        using (var http = new HttpClient { BaseAddress = gateway.Address })
            await http.PostAsync(new Uri($"/v2/repository/models/{model}/load", UriKind.Relative), null);
        foreach (var (name, hash, heading) in new[] { ("overview", "", "Overview"), ("jobs", "#/jobs", "Jobs"), ("job", "#/jobs/served-1", "served-1"), ("models", "#/models", "Models"), ("model", $"#/models/{model}", model), ("predict", $"#/predict/{model}", "Predict") })
        {
            await using var watched = await browser.OpenAsync(gateway, hash, width, isDark);
            var page = watched.Page;
            await Expect(page.GetByRole(AriaRole.Heading, new PageGetByRoleOptions { Level = 1, Name = heading })).ToBeVisibleAsync();
            await Expect(page.GetByRole(AriaRole.Status).First).ToHaveTextAsync("live");
            await (name switch
            {
                "overview" or "models" or "model" => Expect(page.GetByText("ready", new PageGetByTextOptions { Exact = true }).First).ToBeVisibleAsync(),
                "predict" => Expect(page.GetByLabel("mean_radius")).ToBeVisibleAsync(),
                "job" => Expect(page.GetByRole(AriaRole.Heading, new PageGetByRoleOptions { Name = "Result" })).ToBeVisibleAsync(),
                _ => Expect(page.GetByText("completed", new PageGetByTextOptions { Exact = true }).First).ToBeVisibleAsync(),
            });
            await Browser.PictureAsync(page, $"{name}-{width}{(isDark ? "-dark" : "")}");
            Assert.Equal(width, await page.EvaluateAsync<int>("document.documentElement.scrollWidth"));
            await AssertAccessibleAsync(page);
        }
    }

    [SkippableFact]
    public async Task It_asks_for_a_key_where_one_is_needed_and_shows_what_the_key_allows()
    {
        Browser.SkipWithoutBrowser();
        var model = await ModelAsync();
        var store = browser.NewStore();
        var keys = new ApiKeyStore(store, TimeProvider.System);
        var all = keys.Create("doctor", [.. Scopes.All], null).Text;
        var predict = keys.Create("application", [Scopes.Predict], null).Text;
        await using var gateway = await browser.StartAsync(store);
        await using var watched = await browser.OpenAsync(gateway);
        var page = watched.Page;
        await Expect(page.GetByRole(AriaRole.Dialog)).ToBeVisibleAsync();
        await Browser.PictureAsync(page, "key");
        await AssertAccessibleAsync(page);
        await UseAsync("cn_nothing.of-the-kind");
        await Expect(page.GetByRole(AriaRole.Alert)).Not.ToBeEmptyAsync();
        await UseAsync(predict);
        await Expect(page.GetByRole(AriaRole.Dialog)).ToBeHiddenAsync();
        await Expect(page.GetByText($"{model}:1").First).ToBeVisibleAsync();
        await Expect(page.GetByText("need the scope \"operate\"")).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Forget key" }).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Dialog)).ToBeVisibleAsync();
        await UseAsync(all);
        await Expect(page.GetByRole(AriaRole.Table, new PageGetByRoleOptions { Name = "Members of the cluster" })).ToBeVisibleAsync();
        // in no place that outlives the tab
        Assert.Equal(0, await page.EvaluateAsync<int>("localStorage.length + document.cookie.length"));

        async Task UseAsync(string key)
        {
            await page.GetByLabel("Key", new PageGetByLabelOptions { Exact = true }).FillAsync(key);
            await page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Use this key" }).ClickAsync();
        }
    }

    [SkippableFact]
    public async Task A_gateway_that_went_away_is_said_so_and_found_again()
    {
        Browser.SkipWithoutBrowser();
        var gateway = await browser.StartAsync();
        await using var watched = await browser.OpenAsync(gateway);
        var page = watched.Page;
        await Expect(page.GetByRole(AriaRole.Status).First).ToHaveTextAsync("live");
        await gateway.DisposeAsync();
        await Expect(page.GetByRole(AriaRole.Status).First).ToHaveTextAsync("connection lost, trying again");
        await using var again = await browser.StartAsync(port: gateway.Address.Port);
        await Expect(page.GetByRole(AriaRole.Status).First).ToHaveTextAsync("live");
    }

    [SkippableFact]
    public async Task What_comes_from_data_is_text_and_never_markup()
    {
        Browser.SkipWithoutBrowser();
        var file = browser.NewPath() + ".csv";
        var rows = Enumerable.Range(0, 40).Select(i => $"{(i % 2 == 0 ? "<img src=x onerror=alert(1)>" : "<b>other</b>")},{i},{(i % 3 == 0 ? "<i>yes</i>" : "<u>no</u>")}");
        await File.WriteAllLinesAsync(file, ["<s>kind</s>,age,outcome", .. rows]);
        var spec = new JobSpec(
            "markup",
            new DataSpec(file, DataFormat.Csv, LearningTask.Classification) { Target = "outcome", Split = new SplitSpec(SplitKind.None), Preparation = [new PreparationSpec(PreparationKind.OneHot, ["<s>kind</s>"])] },
            new ModelSpec("mlp", new Dictionary<string, SettingValue> { ["hidden"] = new SettingValue.Scalar("2") }, new InitialisationSpec()),
            new TrainingSpec { Epochs = 2, BatchSize = 8, Checkpoint = new CheckpointSpec(4, 2), Select = VersionSelection.Last });
        var job = await browser.Cluster.SubmitAsync(spec);
        await CompletedAsync(job);
        await using var gateway = await browser.StartAsync();
        await using var watched = await browser.OpenAsync(gateway, "#/predict/markup");
        var page = watched.Page;
        await Expect(page.GetByLabel("<s>kind</s>")).ToBeVisibleAsync();
        await page.GetByLabel("<s>kind</s>").SelectOptionAsync("<img src=x onerror=alert(1)>");
        await page.GetByLabel("age").FillAsync("3");
        await page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = "Predict" }).ClickAsync();
        await Expect(page.Locator("#answer-class")).ToContainTextAsync("outcome: <");
        await Expect(page.GetByRole(AriaRole.Rowheader, new PageGetByRoleOptions { Name = "<i>yes</i>" })).ToBeVisibleAsync();
        Assert.Equal(0, await page.Locator("main img, main b, main i, main u, main s").CountAsync());
    }

    [SkippableFact]
    public async Task Generations_and_failures_are_marks_on_the_curve()
    {
        Browser.SkipWithoutBrowser();
        await ModelAsync();
        await using var gateway = await browser.StartAsync();
        await using var watched = await browser.OpenAsync(gateway, "#/models");
        var page = watched.Page;
        using var http = new HttpClient { BaseAddress = gateway.Address };
        var text = await http.GetStringAsync(new Uri("/api/jobs/served-1", UriKind.Relative));
        var job = System.Text.Json.Nodes.JsonNode.Parse(text)!;
        // a job that lost a worker at step 7 and the disk at its end
        job["generations"] = System.Text.Json.Nodes.JsonNode.Parse("""[{"generation":1,"restore_step":null,"reason":"begins","at":"2026-11-25T10:00:00Z"},{"generation":2,"restore_step":7,"reason":"worker 127.0.0.1:4 is gone","at":"2026-11-25T10:00:01Z"}]""");
        job["progress"]!["status"] = "failed";
        job["progress"]!["failure"] = "the disk is full: make room, then 'clusternet resume'";
        job["progress"]!["max_staleness"] = 3;
        job["left_out"] = System.Text.Json.Nodes.JsonNode.Parse("""[{"node":"127.0.0.1:5","reason":"data.source: 'd.csv' is not there"}]""");
        job["consistency"] = "ssp";
        job["staleness_bound"] = 4;
        job["result"] = null;
        await page.RouteAsync("**/api/jobs/served-1", route => route.FulfillAsync(new RouteFulfillOptions { ContentType = "application/json", Body = job.ToJsonString() }));
        await page.EvaluateAsync("location.hash = '#/jobs/served-1'");
        var curve = page.GetByRole(AriaRole.Img, new PageGetByRoleOptions { NameRegex = new("^Loss\\.") });
        await Expect(curve).ToHaveAccessibleNameAsync(new System.Text.RegularExpressions.Regex("generation 2 at step 7\\. failed at step"));
        await Expect(page.GetByText("worker 127.0.0.1:4 is gone")).ToBeVisibleAsync();
        await Expect(page.GetByRole(AriaRole.Alert)).ToHaveTextAsync("the disk is full: make room, then 'clusternet resume'");
        await Expect(page.GetByText("3 steps at most, ssp, bound 4")).ToBeVisibleAsync();
        await Expect(page.GetByText("data.source: 'd.csv' is not there")).ToBeVisibleAsync();
        await Browser.PictureAsync(page, "job-failed");
        await AssertAccessibleAsync(page);
    }

    [SkippableFact]
    public async Task A_worker_that_is_lost_is_a_mark_on_the_curve_of_the_job_that_goes_on()
    {
        Browser.SkipWithoutBrowser();
        await using var gateway = await browser.StartAsync();
        var job = await browser.Cluster.SubmitAsync(TestJobs.Wdbc("mlp", training => training with { Epochs = 4000 }, ("hidden", ["16"])) with { Name = "disturbed" });
        await using var watched = await browser.OpenAsync(gateway, $"#/jobs/{job}");
        var page = watched.Page;
        await page.WaitForFunctionAsync("() => Number(/by step: (\\d+) points/.exec(document.querySelector('.chart')?.getAttribute('aria-label'))?.[1]) > 20");
        Assert.Equal(JobStatus.Training, (await browser.Cluster.JobAsync(job)).Summary.Status);
        browser.Cluster.System.ActorSelection("/user/workers/*").Tell(Akka.Actor.PoisonPill.Instance);
        await Expect(page.GetByText("there are workers again")).ToBeVisibleAsync();
        var generation = (await browser.Cluster.JobAsync(job)).Generations[^1];
        await Expect(page.GetByRole(AriaRole.Img, new PageGetByRoleOptions { NameRegex = new("^Loss\\.") })).ToHaveAccessibleNameAsync(
            new System.Text.RegularExpressions.Regex(string.Create(CultureInfo.InvariantCulture, $"generation {generation.Generation.Number} at step {generation.RestoreStep ?? generation.Step:N0}")));
        await browser.Cluster.CancelAsync(job);
    }

    [SkippableFact]
    public async Task A_job_that_fails_says_why_and_where_on_its_curve()
    {
        Browser.SkipWithoutBrowser();
        await using var gateway = await browser.StartAsync();
        var job = await browser.Cluster.SubmitAsync(
            TestJobs.Wdbc("mlp", training => training with { Epochs = 3, Optimizer = new OptimizerSpec { Kind = OptimizerKind.Sgd, LearningRate = 1e30 } }, ("hidden", ["16"])) with { Name = "diverging" });
        await using var watched = await browser.OpenAsync(gateway, $"#/jobs/{job}");
        var page = watched.Page;
        await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("diverged");
        var step = (await browser.Cluster.JobAsync(job)).Summary.Step;
        await Expect(page.GetByRole(AriaRole.Img, new PageGetByRoleOptions { NameRegex = new("^Loss\\.") })).ToHaveAccessibleNameAsync(
            new System.Text.RegularExpressions.Regex(string.Create(CultureInfo.InvariantCulture, $"failed at step {step:N0}")));
        await Browser.PictureAsync(page, "job-diverged");
        await AssertAccessibleAsync(page);
    }

    [SkippableFact]
    public async Task Files_are_not_sent_again_while_they_are_the_same()
    {
        Browser.SkipWithoutBrowser();
        await using var gateway = await browser.StartAsync();
        using var http = new HttpClient { BaseAddress = gateway.Address };
        foreach (var path in new[] { "/", "/dashboard/app.js", "/dashboard/app.css", "/dashboard/echarts.js", "/dashboard/icon.svg" })
        {
            var first = await http.GetAsync(new Uri(path, UriKind.Relative));
            first.EnsureSuccessStatusCode();
            Assert.Contains("default-src 'none'", first.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
            using var again = new HttpRequestMessage(HttpMethod.Get, new Uri(path, UriKind.Relative));
            again.Headers.IfNoneMatch.Add(first.Headers.ETag!);
            Assert.Equal(System.Net.HttpStatusCode.NotModified, (await http.SendAsync(again)).StatusCode);
            using var head = new HttpRequestMessage(HttpMethod.Head, new Uri(path, UriKind.Relative));
            var headed = await http.SendAsync(head);
            Assert.Equal(first.Content.Headers.ContentLength, headed.Content.Headers.ContentLength);
        }
    }

    private static async Task<int> PointsAsync(ILocator curve) =>
        int.Parse(System.Text.RegularExpressions.Regex.Match((await curve.GetAttributeAsync("aria-label"))!, "by step: (\\d+) points").Groups[1].Value, CultureInfo.InvariantCulture);

    private static async Task AssertAccessibleAsync(IPage page)
    {
        var result = await page.RunAxe();
        Assert.True(result.Violations.Length == 0, string.Join('\n', result.Violations.Select(violation => $"{violation.Id}: {violation.Help}: {string.Join(" | ", violation.Nodes.Select(node => node.Html))}")));
    }

    /// <summary>A model of 30 named numbers, trained once.</summary>
    private async Task<string> ModelAsync()
    {
        if (!(await browser.Cluster.ModelsAsync()).Any(version => version.Id.Model == "served"))
            await CompletedAsync(await browser.Cluster.SubmitAsync(TestJobs.Wdbc("mlp", null, ("hidden", ["8"])) with { Name = "served" }));
        return "served";
    }

    private async Task CompletedAsync(JobId job)
    {
        var last = JobStatus.Preparing;
        await foreach (var moment in browser.Cluster.WatchAsync(job))
            last = moment.Status;
        Assert.Equal(JobStatus.Completed, last);
    }
}
