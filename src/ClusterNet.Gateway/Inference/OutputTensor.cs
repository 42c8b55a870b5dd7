using System.Buffers.Binary;
using System.Globalization;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Text;
using ClusterNet.Cluster.Serving;
using ClusterNet.Core.Faults;

namespace ClusterNet.Gateway.Inference;

/// <summary>One output of an answer: numbers or texts.</summary>
/// <param name="Name">of the tensor</param>
/// <param name="Shape">samples first</param>
/// <param name="Numbers">its elements, where it has no texts</param>
/// <param name="Texts">its elements; null where they are numbers</param>
/// <param name="IsBinary">whether it goes as bytes behind the JSON</param>
internal sealed record OutputTensor(string Name, long[] Shape, ReadOnlyMemory<float> Numbers, string[]? Texts, bool IsBinary)
{
    /// <summary>The protocol's name of its type.</summary>
    public string TypeName => Texts is null ? DataTypes.NameOf(DataType.FP32) : DataTypes.NameOf(DataType.Bytes);

    /// <summary>Bytes of its values as bytes.</summary>
    public int ByteSize => Texts is null ? checked(Numbers.Length * sizeof(float)) : Texts.Sum(text => checked(sizeof(int) + Encoding.UTF8.GetByteCount(text)));

    /// <summary>The outputs that were asked for.</summary>
    /// <exception cref="PredictionException">the model's numbers are none, or another version answered, which has no such output</exception>
    public static List<OutputTensor> Of(ServedPrediction answer, ServedVersion version, InferRequest request)
    {
        var prediction = answer.Prediction;
        if (!TensorPrimitives.IsFiniteAll(prediction.Outputs.Span))
            throw new PredictionException(ServingProtocol.FailureKind.ComputeFailed, [new Fault("outputs", $"{prediction.Version} answered with what is no finite number")]);
        var outputs = new List<OutputTensor>(request.Outputs.Count);
        foreach (var wanted in request.Outputs)
        {
            var isBinary = wanted.IsBinary ?? request.Parameters.IsBinary;
            outputs.Add((wanted.Name, prediction.Classes.Count) switch
            {
                (TensorSignature.ProbabilitiesName, > 0) or (TensorSignature.ValueName, 0) when wanted.Classes > 0 => Ranked(prediction, wanted, isBinary),
                (TensorSignature.ProbabilitiesName, > 0) => new OutputTensor(wanted.Name, [prediction.Count, prediction.Width], prediction.Outputs, null, isBinary),
                (TensorSignature.ClassName, > 0) => new OutputTensor(wanted.Name, Single(prediction, version, wanted), default, [.. Enumerable.Range(0, prediction.Count).Select(sample => prediction.ClassOf(sample)!)], isBinary),
                (TensorSignature.ValueName, 0) => new OutputTensor(wanted.Name, Single(prediction, version, wanted), prediction.Outputs, null, isBinary),
                _ => throw Refusal.Invalid("outputs", $"{prediction.Version} answered, which has no '{wanted.Name}'; the model's versions differ, so say which"),
            });
        }
        return outputs;
    }

    /// <summary>Its values as the binary extension and gRPC's raw contents have them.</summary>
    /// <param name="bytes">of <see cref="ByteSize"/></param>
    public void WriteBytes(Span<byte> bytes)
    {
        if (Texts is null)
        {
            MemoryMarshal.AsBytes(Numbers.Span).CopyTo(bytes);
            return;
        }
        foreach (var text in Texts)
        {
            var length = Encoding.UTF8.GetBytes(text, bytes[sizeof(int)..]);
            BinaryPrimitives.WriteInt32LittleEndian(bytes, length);
            bytes = bytes[(sizeof(int) + length)..];
        }
    }

    // one value a sample: the signature says whether with an axis of its own
    private static long[] Single(Prediction prediction, ServedVersion version, RequestedOutput wanted) =>
        version.Outputs.FirstOrDefault(output => output.Name == wanted.Name)?.Shape.Count == 2 ? [prediction.Count, 1] : [prediction.Count];

    /// <summary>The largest values of each sample as texts: value, place and label.</summary>
    private static OutputTensor Ranked(Prediction prediction, RequestedOutput wanted, bool isBinary)
    {
        var most = Math.Min(wanted.Classes, prediction.Width);
        var texts = new string[checked(prediction.Count * most)];
        var order = new int[prediction.Width];
        for (var sample = 0; sample < prediction.Count; sample++)
        {
            var values = prediction[sample].ToArray();
            for (var i = 0; i < order.Length; i++)
                order[i] = i;
            // the first of equals comes first, as it does in the class that is answered
            Array.Sort(order, (left, right) => values[right].CompareTo(values[left]) is var by && by != 0 ? by : left.CompareTo(right));
            for (var rank = 0; rank < most; rank++)
            {
                var place = order[rank];
                var text = string.Create(CultureInfo.InvariantCulture, $"{values[place]:R}:{place}");
                texts[(sample * most) + rank] = prediction.Classes.Count == 0 ? text : $"{text}:{prediction.Classes[place]}";
            }
        }
        return new OutputTensor(wanted.Name, [prediction.Count, most], default, texts, isBinary);
    }
}
