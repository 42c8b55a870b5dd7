using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Data.Tests;

/// <summary>NumPy arrays of every kind that is promised are read exactly; every other kind, and every lie, is refused with a reason.</summary>
public sealed class NpzTests : IDisposable
{
    private static readonly byte[] Labels = NumpyFiles.Npy<byte>("|u1", "(2,)", [0, 1]);
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string File(params (string, byte[])[] arrays) => _folder.Write("arrays.npz", NumpyFiles.Npz(arrays));

    private Fault FaultOf(byte[] features) => Specs.SingleFault(Specs.Npz(File(("X", features), ("y", Labels))));

    public static TheoryData<byte[]> EveryType => new()
    {
        NumpyFiles.Npy<byte>("|u1", "(2, 2)", [1, 2, 3, 4]),
        NumpyFiles.Npy<sbyte>("|i1", "(2, 2)", [1, 2, 3, 4]),
        NumpyFiles.Npy<ushort>("<u2", "(2, 2)", [1, 2, 3, 4]),
        NumpyFiles.Npy<short>("<i2", "(2, 2)", [1, 2, 3, 4]),
        NumpyFiles.Npy<int>("<i4", "(2, 2)", [1, 2, 3, 4], version: 2),
        NumpyFiles.Npy<long>("<i8", "(2, 2)", [1, 2, 3, 4], version: 3),
        NumpyFiles.Npy<float>("<f4", "(2, 2)", [1, 2, 3, 4]),
        NumpyFiles.Npy<double>("<f8", "(2, 2)", [1, 2, 3, 4]),
    };

    [Theory]
    [MemberData(nameof(EveryType))]
    public void Every_type_of_number_and_version_of_header_is_read(byte[] features)
    {
        var data = DataPipeline.Load(Specs.Npz(File(("X", features), ("y", Labels))), 1);
        Assert.Equal([1, 2, 3, 4], data.Training.Features.ToArray());
        Assert.Equal([0, 1], data.Training.Labels.ToArray());
        Assert.Equal(["X"], data.Preparation.Signature.InputNames);
    }

    [Fact]
    public void Pictures_of_bytes_take_the_shape_a_model_wants()
    {
        var pixels = Enumerable.Range(0, 24).Select(i => (byte)(i * 10)).ToArray();
        var spec = Specs.Npz(File(("X", NumpyFiles.Npy("|u1", "(2, 3, 4)", pixels)), ("y", NumpyFiles.Npy<long>("<i8", "(2, 1)", [7, 3])))) with
        {
            Shape = [1, 3, 4],
            Preparation = [Specs.Step(PreparationKind.Scale) with { Value = "255" }],
        };
        var data = DataPipeline.Load(spec, 1);
        Assert.Equal([1, 3, 4], data.Training.Shape);
        Assert.Equal(pixels.Select(pixel => (float)(pixel / 255.0)), data.Training.Features.ToArray());
        Assert.Equal([1, 0], data.Training.Labels.ToArray());
        Assert.Equal(["3", "7"], data.Preparation.Signature.Classes);
    }

    [Fact]
    public void Colour_pictures_with_channels_last_are_seen_with_channels_first()
    {
        var pixels = Enumerable.Range(0, 24).Select(i => (byte)i).ToArray();
        var path = File(("X", NumpyFiles.Npy("|u1", "(2, 2, 2, 3)", pixels)), ("y", Labels));
        var data = DataPipeline.Load(Specs.Npz(path) with { Shape = [3, 2, 2] }, 1);
        Assert.Equal([0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11], data.Training[0].ToArray());
        var request = Requests.RawSampleReader.Read(path, Requests.RawSampleOptions.For(data.Preparation.Signature));
        Assert.Equal(data.Training.Features.ToArray(), data.Preparation.Prepare(request, withTargets: false).Features.ToArray());
        var first = new RawSamples.Array([3, 2, 2], data.Training.Features, []);
        Assert.Equal(data.Training.Features.ToArray(), data.Preparation.Prepare(first, withTargets: false).Features.ToArray());
    }

    [Fact]
    public void Arrays_named_for_their_part_make_the_split()
    {
        var path = File(
            ("train_X", NumpyFiles.Npy<float>("<f4", "(2, 1)", [1, 2])), ("train_y", Labels),
            ("val_X", NumpyFiles.Npy<double>("<f8", "(1, 1)", [3])), ("val_y", NumpyFiles.Npy<byte>("|u1", "(1,)", [1])),
            ("test_X", NumpyFiles.Npy<short>("<i2", "(1, 1)", [4])), ("test_y", NumpyFiles.Npy<byte>("|u1", "(1,)", [0])));
        var data = DataPipeline.Load(Specs.Npz(path) with { Split = new SplitSpec(SplitKind.Arrays) }, 1);
        Assert.Equal([1, 2], data.Training.Features.ToArray());
        Assert.Equal([3], data.Validation.Features.ToArray());
        Assert.Equal([4], data.Test.Features.ToArray());
        Assert.Equal([3], data.Test.Ids.ToArray());
    }

    [Fact]
    public void Groups_and_classes_may_be_text()
    {
        var path = File(
            ("X", NumpyFiles.Npy<float>("<f4", "(4,)", [1, 2, 3, 4])),
            ("y", NumpyFiles.Text(6, "benign", "bad", "benign", "bad")),
            ("patient", NumpyFiles.Text(2, "p1", "p1", "p2", "p2")));
        var split = new SplitSpec(SplitKind.Group) { Column = "patient", TestGroups = ["p2"], Validation = 0 };
        var data = DataPipeline.Load(Specs.Npz(path) with { Split = split }, 1);
        Assert.Equal([2, 3], data.Test.Ids.ToArray());
        Assert.Equal(["bad", "benign"], data.Preparation.Signature.Classes);
    }

    [Fact]
    public void Arrays_of_other_kinds_are_refused_with_what_to_do()
    {
        Assert.Contains("np.ascontiguousarray", FaultOf(NumpyFiles.Npy<float>("<f4", "(2, 2)", [1, 2, 3, 4], fortran: true)).Message, StringComparison.Ordinal);
        Assert.Contains("astype('<f4')", FaultOf(NumpyFiles.Npy<float>(">f4", "(2,)", [1, 2])).Message, StringComparison.Ordinal);
        Assert.Contains("pickle runs code", FaultOf(NumpyFiles.Npy<long>("|O", "(2,)", [1, 2])).Message, StringComparison.Ordinal);
        Assert.Contains("'<c8'", FaultOf(NumpyFiles.Npy<long>("<c8", "(2,)", [1, 2])).Message, StringComparison.Ordinal);
        Assert.Contains("records", FaultOf(NumpyFiles.Raw("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", new byte[8])).Message, StringComparison.Ordinal);
        Assert.Contains("5 dimensions", FaultOf(NumpyFiles.Npy<byte>("|u1", "(2, 1, 1, 1, 1)", [1, 2])).Message, StringComparison.Ordinal);
        Assert.Contains("version 9", FaultOf(NumpyFiles.Raw("{}", [], version: 9)).Message, StringComparison.Ordinal);
        Assert.Contains("signature", FaultOf([1, 2, 3]).Message, StringComparison.Ordinal);
        Assert.Contains("text", FaultOf(NumpyFiles.Text(3, "a", "b")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("(3, 2)")]
    [InlineData("(1000000, 2000)")]
    [InlineData("(2, 1)")]
    [InlineData("(2147483647, 2147483647, 2147483647)")]
    [InlineData("(99999999999999999999,)")]
    [InlineData("(-1, 2)")]
    public void A_shape_that_the_bytes_do_not_bear_out_is_refused_before_memory_is_taken(string shape)
    {
        var file = File(("X", NumpyFiles.Npy<float>("<f4", shape, [1, 2, 3, 4])), ("y", Labels));
        var before = GC.GetAllocatedBytesForCurrentThread();
        Specs.SingleFault(Specs.Npz(file));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 << 20);
    }

    [Fact]
    public void Files_that_do_not_go_together_are_refused()
    {
        var features = NumpyFiles.Npy<float>("<f4", "(3, 1)", [1, 2, 3]);
        Assert.Contains("2 targets for the 3 samples", Specs.SingleFault(Specs.Npz(File(("X", features), ("y", Labels)))).Message, StringComparison.Ordinal);
        Assert.Contains("(n) or (n, 1)", Specs.SingleFault(Specs.Npz(File(("X", features), ("y", NumpyFiles.Npy<byte>("|u1", "(1, 2)", [0, 1]))))).Message, StringComparison.Ordinal);

        var faults = Assert.Throws<InputException>(() => DataPipeline.Load(Specs.Npz(File(("x", features), ("label", Labels))), 1)).Faults;
        Assert.Equal(["data.feature-array", "data.target"], faults.Select(fault => fault.Place));
        Assert.All(faults, fault => Assert.Equal(["label", "x"], fault.Candidates));
    }

    [Fact]
    public void What_is_no_zip_or_was_cut_is_refused()
    {
        var whole = NumpyFiles.Npz(("X", NumpyFiles.Npy("<f4", "(1000,)", Enumerable.Range(0, 1000).Select(i => (float)i).ToArray())), ("y", Labels));
        Assert.Contains("not an NPZ file", Specs.SingleFault(Specs.Npz(_folder.Write("a.npz", whole[..(whole.Length / 2)]))).Message, StringComparison.Ordinal);
        Assert.Contains("not an NPZ file", Specs.SingleFault(Specs.Npz(_folder.Write("b.npz", "a,b\n1,2\n"))).Message, StringComparison.Ordinal);
        var damaged = whole.ToArray();
        damaged.AsSpan(200, 400).Fill(0x55);
        Assert.Throws<InputException>(() => DataPipeline.Load(Specs.Npz(_folder.Write("c.npz", damaged)), 1));
    }

    [Fact]
    public void A_bomb_is_refused_by_its_size()
    {
        var bytes = NumpyFiles.Npz(("X", NumpyFiles.Npy("|u1", "(5000000,)", new byte[5_000_000])));
        Assert.InRange(bytes.Length, 0, 50_000);
        var fault = Specs.SingleFault(() => Requests.RawSampleReader.Read(new MemoryStream(bytes), "input", new Requests.RawSampleOptions { MaxBytes = 1_000_000 }));
        Assert.Contains("at most 1000000", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_sample_without_a_value_is_found()
    {
        var fault = FaultOf(NumpyFiles.Npy<float>("<f4", "(2, 2)", [1, 2, float.NaN, 4]));
        Assert.EndsWith(":X[1]", fault.Place, StringComparison.Ordinal);
        Assert.Contains("element 0", fault.Message, StringComparison.Ordinal);
        Assert.Contains("impute", fault.Message, StringComparison.Ordinal);
    }
}
