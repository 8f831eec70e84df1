// Package classifier defines the project's own classifier of small grey
// pictures as a graph: digits of MNIST, or clothes of Fashion-MNIST.
//
// It stands where the Inception network of FID stands for photographs. Its
// features make a Fréchet distance for digits without weights from elsewhere,
// and its classes count the modes that a generator covers.
//
// The network sees one digit as [1 16 16] with values in [0, 1]. With ↓ for
// the maximum of 2×2 blocks and all convolutions 3×3 with a rim of zeros,
//
//	h₁ = elu(conv1(x))           [Dim 16 16]
//	h₂ = elu(↓conv2(h₁))         [2·Dim 8 8]
//	h₃ = elu(↓conv3(h₂))         [4·Dim 4 4]
//	h₄ = elu(conv4(h₃))          [4·Dim 4 4]
//	features = elu(fc1(h₄))      [Features]
//	logits = fc2(features)       [Classes]
//	p(k|x) = exp(logitsₖ)/Σⱼ exp(logitsⱼ)
//
// and it is trained by cross-entropy, the mean of −log p(label|x) in nats.
// Parameters have PyTorch's names and shapes (conv1.weight [Dim 1 3 3], …) and
// start as PyTorch starts those of Conv2d and Linear.
//
// [Preprocess] brings pictures of the sizes in which the project makes and
// reads MNIST, 14, 16, 28 and 32, to what the network sees. A digit gives the
// same input, to the bit, in each of them.
package classifier
