using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Node.Jobs;

namespace ClusterNet.Node.Tests.Jobs;

/// <summary>Whatever a job file or an override holds, the user learns every fault at once, with its line and what was probably meant.</summary>
public sealed class JobFileTests : IDisposable
{
    private const string Good = """
        name: job
        data:
          source: builtin:wdbc
          split:
            kind: stratified
        model:
          kind: mlp
          hidden: [8, 4]
        training:
          optimizer: adam
          epochs: 3
        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private JobSpec Load(string text, params string[] overrides) => JobFile.Load(_folder.File("job.yaml", text), overrides).Spec;

    private string[] Faults(string text, params string[] overrides)
    {
        var path = _folder.File("job.yaml", text);
        var error = Assert.Throws<InputException>(() => JobFile.Load(path, overrides));
        return [.. error.Faults.Select(fault => FaultText.Format(fault).Replace(path, "job.yaml", StringComparison.Ordinal))];
    }

    [Fact]
    public void Faults_name_file_line_path_value_and_the_near_miss()
    {
        var faults = Faults("""
            name: job
            data:
              source: builtin:wdbc
              taget: x
            model:
              kind: mlp
            training:
              optimizer:
                kind: adm
                learning-rate: fast
              epochs: 3
            """);
        Assert.Contains(faults, text => text == "job.yaml:9 training.optimizer.kind: 'adm' is not one of sgd, adam, adamw, adagrad, rmsprop, lamb. Did you mean 'adam'?");
        Assert.Contains(faults, text => text == "job.yaml:10 training.optimizer.learning-rate: 'fast' is not a finite number");
        Assert.Contains(faults, text => text.StartsWith("job.yaml:4 data.taget: no setting of this name", StringComparison.Ordinal) && text.EndsWith("Did you mean 'target'?", StringComparison.Ordinal));
        Assert.Equal(3, faults.Length);
    }

    [Theory]
    [InlineData("", "job.yaml: is empty")]
    [InlineData("# only a comment\n", "job.yaml: is empty")]
    [InlineData("- a\n- b\n", "job.yaml: settings by name belong here")]
    [InlineData("name: a\nname: b\n", "job.yaml:2:1: 'name' is given twice, first in line 1")]
    [InlineData("name: a\ndata:\n\tsource: x\n", "job.yaml:3: a tab stands in the indentation")]
    [InlineData("name: &a b\n", "job.yaml:1:7: anchors")]
    [InlineData("name: *a\n", "job.yaml:1:7: anchors")]
    [InlineData("name: !!int 3\n", "job.yaml:1:7: tags")]
    [InlineData("name: a\n---\nname: b\n", "job.yaml:2: a second document")]
    [InlineData("name: [a, b\n", "job.yaml:2:1: not valid YAML")]
    [InlineData("name: a\n  data: b\n", "job.yaml:2:7: not valid YAML")]
    [InlineData("model:\n  hidden: [64, # wide\n  activation: relu\n", "job.yaml:2: not valid YAML behind this line: a list that begins with '['")]
    [InlineData("name: !!g] a\n", "job.yaml:1: not valid YAML behind this line: tags")]
    [InlineData("? [a]\n: b\n", "job.yaml:1:3: a name belongs before the colon")]
    public void What_is_no_plain_yaml_is_refused_with_its_line(string text, string start) =>
        Assert.StartsWith(start, Faults(text)[0], StringComparison.Ordinal);

    [Fact]
    public void A_bottomless_file_is_refused() =>
        Assert.Contains("nested deeper", Faults("name: " + new string('[', 5000))[0], StringComparison.Ordinal);

    [Fact]
    public void Files_that_can_not_be_job_files_are_refused()
    {
        string FaultOf(string path) => FaultText.Format(Assert.Single(Assert.Throws<InputException>(() => JobFile.Load(path, [])).Faults));

        _folder.File("breast.yaml", Good);
        Assert.EndsWith("there is no such file. Did you mean 'breast.yaml'?", FaultOf(Path.Combine(_folder.Path, "brest.yaml")), StringComparison.Ordinal);
        Assert.Contains("is a folder", FaultOf(_folder.Path), StringComparison.Ordinal);
        Assert.Contains("nor the folder", FaultOf(Path.Combine(_folder.Path, "no", "job.yaml")), StringComparison.Ordinal);
        Assert.Contains("larger than 1 MB", FaultOf(_folder.File("big.yaml", new string('#', SettingsFile.MaxBytes + 1))), StringComparison.Ordinal);
        var binary = Path.Combine(_folder.Path, "binary.yaml");
        File.WriteAllBytes(binary, [0xFF, 0xFE, 0x80]);
        Assert.Contains("is not text in UTF-8", FaultOf(binary), StringComparison.Ordinal);
    }

    [Fact]
    public void Overrides_change_add_and_take_back_settings()
    {
        var spec = Load(
            Good, "training.epochs=", "training.steps=7", "model.hidden=[32, 16]", "training.optimizer.learning-rate=0.5", "data.preparation=[standardize, {scale: 2}]",
            "data.preparation[1].scale=4", "training.early-stopping.patience=3", "data.split.kind=random");
        Assert.Null(spec.Training.Epochs);
        Assert.Equal(7, spec.Training.Steps);
        Assert.Equal(["32", "16"], ((SettingValue.List)spec.Model.Settings["hidden"]).Items.Cast<SettingValue.Scalar>().Select(item => item.Text));
        Assert.Equal((OptimizerKind.Adam, 0.5), (spec.Training.Optimizer.Kind, spec.Training.Optimizer.LearningRate));
        Assert.Equal("4", spec.Data.Preparation[1].Value);
        Assert.Equal(3, spec.Training.EarlyStopping!.Patience);
        Assert.Equal(SplitKind.Random, spec.Data.Split.Kind);
    }

    [Fact]
    public void A_fault_in_an_override_points_at_the_override()
    {
        var faults = Faults(Good, "training.epochs=many", "trainin.epochs=5", "nonsense", "model.hidden[9]=1", "training.batch-size=[");
        Assert.Contains("--set training.epochs: 'many' is not a whole number", faults);
        Assert.Contains(faults, text => text.StartsWith("--set trainin: no setting of this name", StringComparison.Ordinal) && text.EndsWith("Did you mean 'training'?", StringComparison.Ordinal));
        Assert.Contains(faults, text => text.StartsWith("--set nonsense: not of the form path=value", StringComparison.Ordinal));
        Assert.Contains(faults, text => text == "--set model.hidden[9]=1: model.hidden has 2 items; the first is [0]");
        Assert.Contains(faults, text => text.StartsWith("--set training.batch-size=[: not valid YAML", StringComparison.Ordinal));
    }

    [Fact]
    public void A_source_is_relative_to_the_job_file_but_to_the_user_on_the_command_line()
    {
        _folder.File("data.csv", "a,target\n");
        Assert.Equal(Path.Combine(_folder.Path, "data.csv"), Load(Good.Replace("builtin:wdbc", "data.csv", StringComparison.Ordinal)).Data.Source);
        Assert.Contains(Path.GetFullPath("elsewhere.csv"), Faults(Good, "data.source=elsewhere.csv")[0], StringComparison.Ordinal);
    }

    [Fact]
    public void The_name_comes_from_the_option_the_file_or_the_file_name()
    {
        Assert.Equal("job", Load(Good).Name);
        Assert.Equal("other", JobFile.Load(_folder.File("x.yaml", Good), [], "other").Spec.Name);
        Assert.Equal("nameless", JobFile.Load(_folder.File("nameless.yaml", Good.Replace("name: job", "", StringComparison.Ordinal)), []).Spec.Name);
    }

    [Fact]
    public void A_fault_found_later_gets_its_line_too()
    {
        var path = _folder.File("late.yaml", Good);
        var job = JobFile.Load(path, []);
        var located = job.Locate(new InputException([new Fault("model.hidden", "too large"), new Fault("some.csv:3", "ragged")]));
        Assert.Equal([$"{path}:8 model.hidden: too large", "some.csv:3: ragged"], located.Faults.Select(fault => fault.ToString()));
    }

    public static TheoryData<string> Shipped => [.. Directory.EnumerateFiles(Repository.Jobs, "*.yaml").Select(path => Path.GetFileName(path)).Order()];

    [Theory]
    [MemberData(nameof(Shipped))]
    public void Every_shipped_job_file_is_right_but_perhaps_for_data_that_is_not_here(string file)
    {
        try
        {
            Assert.Equal(Path.GetFileNameWithoutExtension(file), JobFile.Load(Path.Combine(Repository.Jobs, file), []).Spec.Name);
        }
        catch (InputException error)
        {
            Assert.Contains("data.source", Assert.Single(error.Faults).Place, StringComparison.Ordinal);
        }
    }
}
